// Streams a chat through a Portico core with the stubs alone: no HTTP, no SDK.
//
//	go run . -core localhost:50051 -model dummy/story-1 "tell me a story"
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // lets the client see which cores take calls
	"google.golang.org/grpc/metadata"

	portico "portico.example/go_service/gen/portico/v1"
)

// Spread calls over all addresses of the target's name, and send none to a core that drains.
const spread = `{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}`

// Images travel inside messages: this is the core's own limit.
const maxMessageBytes = 64 << 20

func main() {
	core := flag.String("core", "localhost:50051", "the core: HOST:PORT, or dns:///NAME:PORT of a headless service")
	model := flag.String("model", "dummy/story-1", "a model that the gateway routes")
	patience := flag.Duration("deadline", 30*time.Second, "how long the whole answer may take")
	flag.Parse()
	prompt := strings.Join(flag.Args(), " ")
	if prompt == "" {
		prompt = "tell me a story"
	}

	// Ctrl-C cancels the call, and with it the backend's work.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *core, *model, prompt, *patience); err != nil {
		fmt.Fprintln(os.Stderr, explain(err))
		os.Exit(1)
	}
}

func run(ctx context.Context, core, model, prompt string, patience time.Duration) error {
	conn, err := grpc.NewClient(core,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(spread),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallSendMsgSize(maxMessageBytes), grpc.MaxCallRecvMsgSize(maxMessageBytes)))
	if err != nil {
		return err
	}
	defer conn.Close()

	// The core stops the backend when this deadline passes.
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", fmt.Sprintf("go-%d", time.Now().UnixNano()))

	role := "user"
	stream, err := portico.NewGatewayServiceClient(conn).Stream(ctx, &portico.StreamRequest{
		Params: &portico.ChatCompletionParams{
			Model:    &model,
			Messages: []*portico.ChatMessage{{Role: &role, Content: &prompt}},
		},
	})
	if err != nil {
		return err
	}
	// A receipt comes with errors too: it tells who was tried.
	defer func() { printReceipt(stream.Trailer()) }()
	return printAnswer(stream)
}

func printAnswer(stream grpc.ServerStreamingClient[portico.StreamResponse]) error {
	for {
		response, err := stream.Recv()
		// EOF means that the answer is whole: a stream that broke off upstream ends with a status.
		if errors.Is(err, io.EOF) {
			fmt.Println()
			return nil
		}
		if err != nil {
			return err
		}
		for _, chunk := range response.GetChunks() {
			for _, choice := range chunk.GetChoices() {
				fmt.Print(choice.GetDelta().GetContent())
			}
		}
	}
}
