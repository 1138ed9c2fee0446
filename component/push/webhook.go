package push

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"tlim/component/outbox"
)

// The headers of a webhook request.
const (
	HeaderID        = "X-Tlim-Id"        // the request's name: a repeated request has the same
	HeaderTimestamp = "X-Tlim-Timestamp" // seconds since 1970: a receiver refuses what is old
	HeaderSignature = "X-Tlim-Signature" // sha256=<hex of HMAC-SHA-256 over timestamp, a dot, and the body>
)

// WebhookConfig says where notes go.
type WebhookConfig struct {
	URL    string
	Secret string           // signs every request
	Client *http.Client     // nil: one of its own
	Now    func() time.Time // nil: time.Now
}

// Webhook posts notes to an address of the site's own, signed.
type Webhook struct {
	cfg    WebhookConfig
	client *http.Client
}

// NewWebhook makes a pusher; nothing is called yet.
func NewWebhook(cfg WebhookConfig) *Webhook {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Client == nil {
		cfg.Client = newClient()
	}
	return &Webhook{cfg: cfg, client: cfg.Client}
}

// webhookRequest is the body of a request.
type webhookRequest struct {
	ID        string            `json:"id"`
	Type      string            `json:"msg_type"`
	Title     string            `json:"title"`
	Alert     string            `json:"alert"`
	Platforms []string          `json:"platforms"`
	Receivers []webhookReceiver `json:"receivers"`
}

type webhookReceiver struct {
	User  string `json:"user_id"`
	Code  string `json:"registration_id"`
	MsgID string `json:"msg_id"`
}

// NewID gives a random name.
func (w *Webhook) NewID(context.Context) (string, error) { return uuid.NewString(), nil }

// Push makes one request. 2xx takes the note; its answer may be {"dead":["registration id"]}. 408, 429, 5xx and a broken network
// are tried again, after Retry-After where it is given; anything else refuses the note.
func (w *Webhook) Push(ctx context.Context, n outbox.Note) (retry bool, err error) {
	content := webhookRequest{ID: n.ID, Type: n.Type, Title: n.Title, Alert: n.Alert, Platforms: []string{"android", "ios"},
		Receivers: make([]webhookReceiver, len(n.To))}
	if n.Android {
		content.Platforms = content.Platforms[:1]
	}
	for i, to := range n.To {
		content.Receivers[i] = webhookReceiver(to)
	}
	body, err := json.Marshal(content)
	if err != nil {
		return false, fmt.Errorf("webhook: %w", err)
	}
	now := w.cfg.Now()
	req, err := w.cfg.request(n.ID, body, now)
	if err != nil {
		return false, fmt.Errorf("webhook: push.webhook.url is no address")
	}
	resp, answer, err := do(ctx, w.client, req)
	if err != nil {
		return true, fmt.Errorf("webhook: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		var said struct {
			Dead []string `json:"dead"`
		}
		if json.Unmarshal(answer, &said) == nil && len(said.Dead) > 0 {
			return false, &outbox.Error{Dead: said.Dead}
		}
		return false, nil
	}
	failed := &outbox.Error{Err: fmt.Errorf("webhook: status %d", resp.StatusCode)}
	if passing(resp.StatusCode) {
		failed.Wait = retryAfter(resp.Header, now)
		return true, failed
	}
	return false, failed
}

// request is a signed one.
func (w *WebhookConfig) request(id string, body []byte, now time.Time) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(HeaderID, id)
	req.Header.Set(HeaderTimestamp, timestamp)
	req.Header.Set(HeaderSignature, Sign(w.Secret, timestamp, body))
	return req, nil
}

// Sign is the signature of a request: what a receiver computes from the shared secret, the timestamp header and the body as it
// came, and compares.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
