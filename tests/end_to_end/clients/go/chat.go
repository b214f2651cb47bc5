package main

import (
	"context"
	"net/http"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

var weather = openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
	Name: "get_weather",
	Parameters: shared.FunctionParameters{
		"type":       "object",
		"properties": object{"city": object{"enum": []string{"Rome", "Oslo"}}},
		"required":   []string{"city"},
	},
})

// params returns what every chat asks for.
func params(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("print the list")},
	}
}

func chat(ctx context.Context, client openai.Client, model string) (any, error) {
	var response *http.Response
	answer, err := client.Chat.Completions.New(ctx, params(model), option.WithResponseInto(&response))
	if err != nil {
		return nil, err
	}
	return object{
		"model":         answer.Model,
		"content":       answer.Choices[0].Message.Content,
		"finish_reason": answer.Choices[0].FinishReason,
		"total_tokens":  answer.Usage.TotalTokens,
		"request_id":    response.Header.Get("x-request-id"),
		"served":        response.Header.Get("x-portico-model"),
	}, nil
}

func stream(ctx context.Context, client openai.Client, model string) (any, error) {
	asked := params(model)
	asked.StreamOptions.IncludeUsage = openai.Bool(true)
	chunks := client.Chat.Completions.NewStreaming(ctx, asked)
	whole, role, pieces := openai.ChatCompletionAccumulator{}, "", []string{}
	for chunks.Next() {
		chunk := chunks.Current()
		whole.AddChunk(chunk)
		for _, choice := range chunk.Choices {
			if role == "" {
				role = choice.Delta.Role
			}
			if choice.Delta.Content != "" {
				pieces = append(pieces, choice.Delta.Content)
			}
		}
	}
	if err := chunks.Err(); err != nil {
		return nil, err
	}
	return object{
		"role": role, "pieces": pieces, "finish_reason": whole.Choices[0].FinishReason,
		"total_tokens": whole.Usage.TotalTokens,
	}, nil
}

func tools(ctx context.Context, client openai.Client, model string) (any, error) {
	asked := params(model)
	asked.Tools = []openai.ChatCompletionToolUnionParam{weather}
	// At temperature 0 the tiny model's arguments are whole before the limit ends it.
	asked.Temperature = openai.Float(0)
	asked.MaxTokens = openai.Int(400)
	answer, err := client.Chat.Completions.New(ctx, asked)
	if err != nil {
		return nil, err
	}
	message := answer.Choices[0].Message
	call := message.ToolCalls[0]
	name, arguments := "", ""
	chunks := client.Chat.Completions.NewStreaming(ctx, asked)
	for chunks.Next() {
		for _, choice := range chunks.Current().Choices {
			for _, piece := range choice.Delta.ToolCalls {
				if piece.Index == 0 {
					name += piece.Function.Name
					arguments += piece.Function.Arguments
				}
			}
		}
	}
	if err := chunks.Err(); err != nil {
		return nil, err
	}
	asked.Messages = append(asked.Messages, message.ToParam(), openai.ToolMessage("rain", call.ID))
	asked.MaxTokens = openai.Int(30)
	after, err := client.Chat.Completions.New(ctx, asked)
	if err != nil {
		return nil, err
	}
	return object{
		"whole":    object{"name": call.Function.Name, "arguments": call.Function.Arguments},
		"streamed": object{"name": name, "arguments": arguments},
		"after":    after.Choices[0].Message.Content,
	}, nil
}

func answer(ctx context.Context, client openai.Client, model string) (any, error) {
	return client.Chat.Completions.New(ctx, params(model))
}

func refused(ctx context.Context, client openai.Client, model string) (any, error) {
	asked := params(model)
	asked.Tools = []openai.ChatCompletionToolUnionParam{weather}
	return client.Chat.Completions.New(ctx, asked)
}

// invalid sends a message without a role, which the SDK's types do not allow.
func invalid(ctx context.Context, client openai.Client, model string) (any, error) {
	without := option.WithJSONSet("messages", []object{{"content": "no role"}})
	return client.Chat.Completions.New(ctx, params(model), without)
}

func broken(ctx context.Context, client openai.Client, model string) (any, error) {
	chunks := client.Chat.Completions.NewStreaming(ctx, params(model))
	for chunks.Next() {
		for _, choice := range chunks.Current().Choices {
			if choice.Delta.Content != "" {
				say(choice.Delta.Content)
			}
		}
	}
	return nil, chunks.Err()
}
