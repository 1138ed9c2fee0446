package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
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

// Post makes one call; 2xx takes it. After an error away says that the receiver could not be reached or asks for time (429, 503), and wait
// how much it asks for.
func (h *EventHook) Post(ctx context.Context, id string, body []byte) (away bool, wait time.Duration, err error) {
	now := h.cfg.Now()
	req, err := h.cfg.request(id, body, now)
	if err != nil {
		return true, 0, errors.New("events.webhook.url is no address")
	}
	resp, _, err := do(ctx, h.client, req)
	switch {
	case err != nil:
		return errors.As(err, new(*dialError)), 0, err
	case resp.StatusCode/100 == 2:
		return false, 0, nil
	}
	away = resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
	return away, retryAfter(resp.Header, now), fmt.Errorf("status %d", resp.StatusCode)
}
