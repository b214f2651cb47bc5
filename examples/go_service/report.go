package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	portico "portico.example/go_service/gen/portico/v1"
)

// explain puts a failed call in words: the gRPC code, and what the details add to it.
func explain(err error) string {
	failed := status.Convert(err)
	text := fmt.Sprintf("%s: %s", failed.Code(), failed.Message())
	for _, detail := range failed.Details() {
		switch detail := detail.(type) {
		case *portico.ErrorDetail:
			text += fmt.Sprintf("\n  HTTP %d, type %s, code %s", detail.GetHttpStatus(), detail.GetType(), detail.GetCode())
			if detail.Param != nil {
				text += ", param " + detail.GetParam()
			}
		case *errdetails.RetryInfo:
			text += "\n  try again in " + detail.GetRetryDelay().AsDuration().String()
		}
	}
	return text
}

// printReceipt tells what became of the call. gRPC has decoded the base64 of a `-bin` trailer.
func printReceipt(trailer metadata.MD) {
	values := trailer.Get("portico-receipt-bin")
	if len(values) == 0 {
		return
	}
	receipt := &portico.Receipt{}
	if err := proto.Unmarshal([]byte(values[0]), receipt); err != nil {
		return
	}
	lines := []string{fmt.Sprintf("receipt %s: %s", receipt.GetRequestId(), receipt.GetOutcome())}
	for _, attempt := range receipt.GetAttempts() {
		result := "ok"
		if attempt.GetErrorClass() != portico.ErrorClass_ERROR_CLASS_UNSPECIFIED {
			result = attempt.GetReason()
		}
		candidate := attempt.GetCandidate()
		lines = append(lines, fmt.Sprintf("  %s/%s: %s", candidate.GetBackend(), candidate.GetModel(), result))
	}
	if usage := receipt.GetUsage(); usage != nil {
		lines = append(lines, fmt.Sprintf("  %d + %d tokens", usage.GetPromptTokens(), usage.GetCompletionTokens()))
	}
	took := time.Duration(receipt.GetDurationMs() * float64(time.Millisecond))
	lines = append(lines, fmt.Sprintf("  %s", took.Round(10*time.Microsecond)))
	fmt.Fprintln(os.Stderr, strings.Join(lines, "\n"))
}
