"""The commands and programs that the seeds of the project show, word for word, by the seed's number."""

CURL = {
    "000 health": "curl http://localhost:3111/health",
    "000 gateway health": 'curl -w "%{time_total}\\n" $GATEWAY_URL/health',
    "000 models": "curl http://localhost:3111/v1/models",
    "000 chat": """curl http://localhost:3111/v1/chat/completions \\
-H "Content-Type: application/json" \\
-d '{
"model": "gpt-4",
"messages": [
{"role": "user", "content": "Explain TypeScript"}
],
"max_tokens": 500
}'""",
    "000 stream": """curl http://localhost:3111/v1/chat/completions \\
-H "Content-Type: application/json" \\
-d '{
"model": "gpt-4",
"messages": [
{"role": "user", "content": "List 5 ideas"}
],
"stream": true
}'""",
    "002 models": "curl http://localhost:3000/v1/models",
    "002 chat": """curl http://localhost:3000/v1/chat/completions \\
-H 'content-type: application/json' \\
-H 'authorization: Bearer upstream-secret' \\
-H 'x-dummy-tag: tutorial' \\
-d '{
"model": "dummy/echo-1",
"messages": [
{ "role": "user", "content": "hello proxy" }
]
}'""",
    "002 stream": """curl http://localhost:3000/v1/chat/completions \\
-N \\
-H 'content-type: application/json' \\
-H 'x-dummy-tag: stream-demo' \\
-d '{
"model": "dummy/story-1",
"stream": true,
"messages": [
{ "role": "user", "content": "tell a short tale" }
]
}'""",
    "002 text parts": """curl http://localhost:3000/v1/chat/completions \\
-H 'content-type: application/json' \\
-d '{
"model": "dummy/echo-1",
"messages": [
{
"role": "user",
"content": [
{ "type": "text", "text": "hello" },
{ "type": "text", "text": "proxy" }
]
}
]
}'""",
    "003 chat": """curl localhost:8000/v1/chat/completions -X POST \\
  -d '{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}' \\
  -H 'Content-Type: application/json' \\
  -H 'Authorization: Bearer key1'""",
    "003 namespace": """curl -X POST localhost:8000/v1/chat/completions \\
  -d '{"model":"azure/gpt-4o","messages":[{"role":"user","content":"Hello"}]}' \\
  -H 'Content-Type: application/json' \\
  -H 'Authorization: Bearer key2'""",
    "003 generation": """curl localhost:8000/v1/completions -X POST \\
  -d '{"model":"gpt-4o","prompt":"Hi"}' \\
  -H 'Content-Type: application/json' \\
  -H 'Authorization: Bearer key1'""",
    "003 models": """curl localhost:8000/v1/models \\
  -H 'Authorization: Bearer key2'""",
    "003 health": "curl localhost:8000/health",
    "004 chat": """curl -X POST http://localhost:8000/v1/chat/completions \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "gpt-3.5-turbo",
    "messages": [
      {
        "role": "user",
        "content": "Hello, how are you?"
      }
    ]
  }'""",
}

#: Prints nothing in the seed; the tests add a line that does.
NODE_000 = """import OpenAI from 'openai'
const client = new OpenAI({
apiKey: 'not-needed',
baseURL: 'http://localhost:3111/v1'
})
const response = await client.chat.completions.create({
model: 'gpt-4',
messages: [
{ role: 'user', content: 'Hello, world!' }
]
})"""

PYTHON_004 = """import openai

client = openai.OpenAI(
    base_url="http://localhost:8000/v1",
    # No API key needed by default since authentication is disabled
    # If you enable authentication, include your API key:
    # api_key="your_api_key_here"
)

# Chat completions
response = client.chat.completions.create(
    model="gpt-3.5-turbo",
    messages=[
        {"role": "user", "content": "Hello, how are you?"}
    ]
)
print(response.choices[0].message.content)

# Completions (legacy)
completion_response = client.completions.create(
    model="gpt-3.5-turbo-instruct",
    prompt="Hello, how are you?",
    max_tokens=50
)
print(completion_response.choices[0].text)"""
