package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"tlim/cmd/tlim/config"
	"tlim/component/retention"
)

// server is the process that serves, as a command asks it over its HTTP API, with an admin key of the same configuration.
type server struct {
	base, key string
	client    *http.Client
}

// serverOf finds the process that serves at http.listen; nil when nobody listens there.
func serverOf(ctx context.Context, h config.HTTP) (*server, error) {
	dialing, cancel := context.WithTimeout(ctx, usageTime)
	defer cancel()
	address := reachable(h.Listen)
	conn, err := new(net.Dialer).DialContext(dialing, "tcp", address)
	if err != nil {
		return nil, ctx.Err()
	}
	if err := conn.Close(); err != nil {
		return nil, err
	}
	s := &server{base: "http://" + address + "/plugins/tlim/", client: &http.Client{Timeout: time.Minute}}
	if h.TLS.CertFile != "" {
		s.base = "https" + strings.TrimPrefix(s.base, "http")
		own, err := ownCertificate(string(h.TLS.CertFile))
		if err != nil {
			return nil, err
		}
		s.client.Transport = &http.Transport{TLSClientConfig: own}
	}
	if s.key, err = adminKey(h); err != nil {
		return nil, fmt.Errorf("somebody listens on %s (http.listen), whom this command would ask: %w", address, err)
	}
	return s, nil
}

// ownCertificate trusts whoever has the certificate of a file, under whichever name it is reached.
func ownCertificate(path string) (*tls.Config, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("http.tls.cert_file: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("http.tls.cert_file: %s holds no certificate", path)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // it is verified below, against the file
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 || !bytes.Equal(raw[0], block.Bytes) {
				return fmt.Errorf("who listens has another certificate than %s: was it read again (SIGHUP)?", path)
			}
			return nil
		}}, nil
}

// adminKey is a key of the configuration, or of its key file, with the scope admin.
func adminKey(h config.HTTP) (string, error) {
	for _, k := range h.Keys {
		if slices.Contains(k.Scopes, "admin") {
			return k.Key.Reveal(), nil
		}
	}
	if len(h.Keys) > 0 {
		return "", errors.New("http.keys has no key with the scope admin; give the configuration one, or call it with another key")
	}
	content, err := os.ReadFile(string(h.KeyFile))
	if err != nil {
		return "", fmt.Errorf("http.key_file: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// ask calls an endpoint. It returns what that answers with 200 into answer, and what it says when it refuses.
func (s *server) ask(ctx context.Context, method, endpoint string, answer any) (refusal string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, s.base+endpoint, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+s.key)
	response, err := s.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var outcome struct {
		Result string `json:"result"`
		Detail string `json:"result_detail"`
	}
	if err := json.Unmarshal(content, &outcome); err != nil || outcome.Result == "" {
		return "", fmt.Errorf("%s%s: what answers (%s) is no tlim with this endpoint", s.base, endpoint, response.Status)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s%s: %s: %s", s.base, endpoint, response.Status, outcome.Detail)
	}
	if outcome.Result != "ok" {
		return outcome.Detail, nil
	}
	return "", json.Unmarshal(content, answer)
}

// askedCleanup is what admin/cleanup says of a clean-up.
type askedCleanup struct {
	Run *struct {
		By      string `json:"by"`
		Error   string `json:"error"`
		Removed []struct {
			Rows int    `json:"rows"`
			Name string `json:"table"`
		} `json:"removed"`
		Started int64  `json:"started"`
		State   string `json:"state"`
		Table   string `json:"table"`
	} `json:"run"`
}

func (a askedCleanup) cleaned() cleaned {
	c := cleaned{By: "the process that serves", State: a.Run.State, Tables: []removedTable{}, Error: a.Run.Error}
	for _, t := range a.Run.Removed {
		c.Tables = append(c.Tables, removedTable{t.Name, t.Rows})
	}
	return c
}

// cleanupAsked has the process that serves clean up, and looks on until that has ended. When ctx ends, it has it stopped.
func cleanupAsked(ctx context.Context, s *server, progress func(string, cleaned)) (cleaned, error) {
	var a askedCleanup
	refusal, err := s.ask(ctx, http.MethodPost, "admin/cleanup/run", &a)
	switch {
	case err != nil:
		return cleaned{}, err
	case refusal != "":
		return cleaned{}, fmt.Errorf("not begun, for one is under way: %s", refusal)
	case a.Run == nil:
		return cleaned{}, errors.New("the process that serves did not say what it began")
	}
	begun := a.Run.Started
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	told := ctx.Done()
	tick := time.NewTicker(progressPeriod / 4)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-told:
			told = nil
			time.AfterFunc(lastWords, cancel)
			if _, err := s.ask(last, http.MethodPost, "admin/cleanup/stop", &struct{}{}); err != nil {
				return a.cleaned(), fmt.Errorf("stop it: %w", err)
			}
		}
		a = askedCleanup{}
		if _, err := s.ask(last, http.MethodGet, "admin/cleanup", &a); err != nil {
			return cleaned{}, fmt.Errorf("the clean-up was begun, and nobody says how it goes on; the audit log (admin/audit) says how it ended: %w", err)
		}
		if a.Run == nil || a.Run.Started != begun {
			return cleaned{}, errors.New("the process that serves was started again, or has begun another clean-up: the audit log (admin/audit) says how this one ended")
		}
		switch c := a.cleaned(); c.State {
		case retention.Running, retention.Stopping:
			if n%4 == 0 && a.Run.Table != "" {
				progress(a.Run.Table, c)
			}
		default:
			return c, nil
		}
	}
}
