// One scenario of OpenAI's own Go SDK: client SCENARIO BASE_URL MODEL. Prints JSON lines.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
)

type object = map[string]any

var scenarios = map[string]func(context.Context, openai.Client, string) (any, error){
	"models": models, "chat": chat, "stream": stream, "tools": tools, "error": answer, "refused": refused,
	"invalid": invalid, "broken": broken, "abort": abort, "complete": complete, "embed": embed,
}

func main() {
	scenario, url, model := os.Args[1], os.Args[2], os.Args[3]
	client := openai.NewClient(option.WithBaseURL(url), option.WithAPIKey("none"), option.WithMaxRetries(0))
	told, err := scenarios[scenario](context.Background(), client, model)
	if err != nil {
		told = failure(err)
	}
	say(told)
}

func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

// failure tells what the SDK's error holds.
func failure(err error) any {
	var refused *openai.Error
	if errors.As(err, &refused) {
		return object{
			"class": "Error", "status": refused.StatusCode, "code": refused.Code, "param": refused.Param,
			"message": refused.Message, "request_id": refused.Response.Header.Get("x-request-id"),
		}
	}
	var cut *ssestream.StreamError
	if errors.As(err, &cut) {
		return object{"class": "StreamError", "message": cut.Message}
	}
	return object{"class": fmt.Sprintf("%T", err), "message": err.Error()}
}

func models(ctx context.Context, client openai.Client, model string) (any, error) {
	list, err := client.Models.List(ctx)
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, each := range list.Data {
		ids = append(ids, each.ID)
	}
	one, err := client.Models.Get(ctx, model)
	if err != nil {
		return nil, err
	}
	return object{"ids": ids, "owner": one.OwnedBy}, nil
}

func complete(ctx context.Context, client openai.Client, model string) (any, error) {
	params := openai.CompletionNewParams{
		Model:     openai.CompletionNewParamsModel(model),
		Prompt:    openai.CompletionNewParamsPromptUnion{OfString: openai.String("print the list")},
		MaxTokens: openai.Int(16),
	}
	whole, err := client.Completions.New(ctx, params)
	if err != nil {
		return nil, err
	}
	streamed := ""
	chunks := client.Completions.NewStreaming(ctx, params)
	for chunks.Next() {
		for _, choice := range chunks.Current().Choices {
			streamed += choice.Text
		}
	}
	return object{
		"text": whole.Choices[0].Text, "streamed": streamed, "total_tokens": whole.Usage.TotalTokens,
	}, chunks.Err()
}

func embed(ctx context.Context, client openai.Client, model string) (any, error) {
	answer, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: model,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one", "two"}},
	})
	if err != nil {
		return nil, err
	}
	vectors := [][]float64{}
	for _, each := range answer.Data {
		vectors = append(vectors, each.Embedding)
	}
	return object{"vectors": vectors, "total_tokens": answer.Usage.TotalTokens}, nil
}

// abort leaves in mid-stream, and stays alive until its stdin is closed.
func abort(ctx context.Context, client openai.Client, model string) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	chunks := client.Chat.Completions.NewStreaming(ctx, params(model))
	for chunks.Next() {
		if choices := chunks.Current().Choices; len(choices) > 0 && choices[0].Delta.Content != "" {
			break
		}
	}
	cancel()
	say("aborted")
	_, err := io.Copy(io.Discard, os.Stdin)
	return nil, errors.Join(err, chunks.Close())
}
