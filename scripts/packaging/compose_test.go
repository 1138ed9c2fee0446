package main

import (
	"os"
	"path"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

const composeFile = "../../deploy/package/compose.yaml"

// loadCompose reads a compose file as docker compose does: by its schema, with the variables, and consistent in itself.
func loadCompose(t *testing.T, text string, env map[string]string) (*types.Project, error) {
	t.Helper()
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{WorkingDir: path.Dir(composeFile), Environment: env,
		ConfigFiles: []types.ConfigFile{{Filename: composeFile, Content: []byte(text)}}})
}

// TestCompose: docker compose's own reader takes the example, and what stands in it fits together.
func TestCompose(t *testing.T) {
	content, err := os.ReadFile(composeFile)
	if err != nil {
		t.Fatal(err)
	}
	project, err := loadCompose(t, string(content), map[string]string{"TLIM_VERSION": "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	tlim, err := project.GetService("tlim")
	if err != nil {
		t.Fatal(err)
	}
	if want := "localhost/tlim:1.2.3"; tlim.Image != want {
		t.Errorf("got image %s, want %s", tlim.Image, want)
	}

	// The secret is where the configuration looks for it.
	if len(tlim.Secrets) != 1 {
		t.Fatalf("got %d secrets, want one", len(tlim.Secrets))
	}
	target := tlim.Secrets[0].Target
	if target == "" {
		target = tlim.Secrets[0].Source
	}
	if !path.IsAbs(target) {
		target = path.Join("/run/secrets", target)
	}
	if got := tlim.Environment["TLIM_XMPP_SECRET_FILE"]; got == nil || *got != target {
		t.Errorf("got TLIM_XMPP_SECRET_FILE %v, want %s, where the secret is mounted", got, target)
	}

	// Each port that is published is listened to, and for this host alone.
	listens := map[string]bool{}
	for _, name := range []string{"TLIM_HTTP_LISTEN", "TLIM_METRICS_LISTEN"} {
		if v := tlim.Environment[name]; v != nil {
			listens[strings.TrimPrefix(*v, ":")] = true
		}
	}
	targets := map[string]bool{"9595": false, "9596": false}
	for _, p := range tlim.Ports {
		port := p.Published
		targets[port] = true
		if p.HostIP != "127.0.0.1" || !listens[port] {
			t.Errorf("got port %s of %q, want one that tlim listens to, on 127.0.0.1", port, p.HostIP)
		}
	}
	for port, published := range targets {
		if !published {
			t.Errorf("got no port %s, want it published", port)
		}
	}

	// What is written outlives the container, whose root cannot be written.
	if len(tlim.Volumes) != 1 || tlim.Volumes[0].Target != "/var/lib/tlim" || tlim.Volumes[0].Type != types.VolumeTypeVolume || !tlim.ReadOnly {
		t.Errorf("got volumes %v, read only %t, want one at /var/lib/tlim and a root that is read only", tlim.Volumes, tlim.ReadOnly)
	}
}

// TestComposeFaults: the reader would see a fault of ours.
func TestComposeFaults(t *testing.T) {
	content, err := os.ReadFile(composeFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, old, new, says string }{
		{"a key of another name", "stop_grace_period:", "stop_grace:", "stop_grace"},
		{"a time that is none", "interval: 10s", "interval: ten", "ten"},
		{"a secret that is not there", "secrets: [xmpp_secret]", "secrets: [other]", "other"},
		{"a volume that is not there", "volumes: [data:/var/lib/tlim]", "volumes: [other:/var/lib/tlim]", "other"},
		{"a port that is none", "127.0.0.1:9595:9595", "127.0.0.1:9595:http", "http"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if strings.Count(string(content), c.old) != 1 {
				t.Fatalf("got %q not once in the file, want it once", c.old)
			}
			_, err := loadCompose(t, strings.Replace(string(content), c.old, c.new, 1), nil)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error that says %q", err, c.says)
			}
		})
	}
}
