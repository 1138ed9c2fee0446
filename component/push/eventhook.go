package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"tlim/component/events"
)

// EventHook tells a business system of events, by calls that are signed as those of [Webhook] are.
type EventHook struct {
	cfg    WebhookConfig
	client *http.Client
}

// NewEventHook makes one; nothing is called yet.
func NewEventHook(cfg WebhookConfig) *EventHook {
	w := NewWebhook(cfg)
	return &EventHook{cfg: w.cfg, client: w.client}
}

// Post makes one call; 2xx takes it. Its error is an *[events.Failure]: the receiver could not be reached, asks for time (429, 503), or answered
// something else.
func (e *EventHook) Post(ctx context.Context, id string, body []byte) error {
	now := e.cfg.Now()
	req, err := e.cfg.request(id, body, now)
	if err != nil {
		return &events.Failure{Err: errors.New("events.webhook.url is no address"), Away: true}
	}
	resp, _, err := do(ctx, e.client, req)
	switch {
	case err != nil:
		return &events.Failure{Err: err, Away: errors.As(err, new(*dialError))}
	case resp.StatusCode/100 == 2:
		return nil
	}
	later := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
	return &events.Failure{Err: fmt.Errorf("status %d", resp.StatusCode), Later: later, Wait: retryAfter(resp.Header, now)}
}
