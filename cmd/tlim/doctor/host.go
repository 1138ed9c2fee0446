package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// hostChecks are about this host: the configuration and the process that serves.
func (s *Site) hostChecks() []Check {
	return []Check{
		{ID: configuration, Name: "the configuration", Run: s.checkConfiguration},
		{ID: "process", Name: "tlim serve", Run: s.checkProcess},
		{ID: "http.listen", Name: "the port of the API", After: []string{"process"}, Run: s.checkListener("http.listen", s.Config.HTTP.Listen)},
		{ID: "metrics.listen", Name: "the port of operators", After: []string{"process"}, Run: s.checkListener("metrics.listen", s.Config.Metrics.Listen)},
		{ID: "http.callers", Name: "who calls without a key", After: []string{"process"}, Run: s.checkCallers},
		{ID: "push", Name: "the key of pushes", Run: s.checkPush},
	}
}

func (s *Site) checkConfiguration(context.Context) []Finding {
	var found []Finding
	for _, problem := range s.Problems {
		found = append(found, Finding{Failure, problem, "correct the key" + s.where() + "; cmd/tlim/CONFIG.md says what it takes"})
	}
	switch {
	case len(found) > 0:
		return found
	case s.File != "":
		return ok("%s was read, and every value is one that its key takes", s.File)
	case s.Config.XMPP.Domain == "":
		return warning("run this where the file is, or give --config FILE as tlim serve gets it", "no configuration file was read: %s not there, and what follows is of the defaults", s.missing())
	}
	return ok("no configuration file was read (%s not there); every value of the environment and --set is one that its key takes", s.missing())
}

// where says in which file a key stands, or that none was read.
func (s *Site) where() string {
	if s.File == "" {
		return " in the environment or --set (no configuration file was read: " + s.missing() + " not there)"
	}
	return " in " + s.File + ", the environment or --set"
}

// missing names the places of a configuration file.
func (s *Site) missing() string {
	if len(s.Places) == 1 {
		return s.Places[0] + " is"
	}
	return strings.Join(s.Places, " and ") + " are"
}

// process is a tlim that serves, as its /readyz tells.
type process struct {
	Component string   `json:"component"` // "" where an earlier version serves
	Ready     bool     `json:"ready"`
	Role      string   `json:"role"`
	Warnings  []string `json:"warnings"`
	Taken     string   `json:"taken"`    // why it does not lead although nobody does
	Hindered  string   `json:"hindered"` // why the database does not let it see the leader, or lead
	Other     struct {
		Host  string `json:"host"`
		PID   int64  `json:"pid"`
		Alive bool   `json:"alive"`
	} `json:"other"`
	Reasons []string `json:"reasons"`
	Link    struct {
		OK    bool      `json:"ok"`
		State string    `json:"state"`
		Text  string    `json:"text"`
		Since time.Time `json:"since"`

		Server string `json:"server"`
	} `json:"link"`
	Messages struct {
		OK    bool   `json:"ok"`
		State string `json:"state"`
		Text  string `json:"text"`
	} `json:"messages"`
}

// standsBy says that it waits for the end of another one, which leads and lives.
func (p *process) standsBy() bool { return p != nil && p.Role == "standby" && p.Other.Alive }

const (
	askProcess = 5 * time.Second
	maxReady   = 1 << 20
)

var httpClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (s *Site) checkProcess(ctx context.Context) []Finding {
	address := s.Config.Metrics.Listen
	ctx, cancel := context.WithTimeout(ctx, askProcess)
	defer cancel()
	body, err := get(ctx, s.Metrics+"/readyz?language=en", maxReady)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return ok("none runs that listens on metrics.listen (%s): this command links to the server itself, for a moment", address)
	case err != nil:
		keep(s, &s.mute, true)
		return failure("is metrics.listen the address of this tlim? See what listens there: ss -ltnp", "metrics.listen (%s) does not answer as a tlim: %v%s", address, err, holder(portOf(address)))
	}
	p := &process{}
	if err := json.Unmarshal(body, p); err != nil || p.Link.State == "" {
		keep(s, &s.foreign, true)
		return failure("give metrics.listen an address of its own, or stop the other program", "what answers on metrics.listen (%s) is not a tlim%s", address, holder(portOf(address)))
	}
	if own := s.Config.XMPP.Component; p.Component != "" && own != "" && p.Component != own {
		keep(s, &s.foreign, true)
		return failure("give metrics.listen an address of its own, or the one at which "+own+" serves", "what answers on metrics.listen (%s) is the tlim of %s, and this configuration is that of %s%s", address, p.Component, own, holder(portOf(address)))
	}
	keep(s, &s.process, p)
	switch {
	case p.Ready:
		return ok("one runs, and takes and delivers messages")
	case p.standsBy():
		found := ok("one runs, and stands by: process %d on %s leads", p.Other.PID, p.Other.Host)
		for _, w := range p.Warnings {
			if strings.HasPrefix(w, "standby.enabled: ") {
				found = append(found, warning("give both the same tlim.yaml, and restart the one that has the older", "%s", w)...)
			}
		}
		return found
	case p.Hindered != "":
		return failure("let the database answer this host within some ten milliseconds; it goes on by itself then", "one runs, and does not lead: %s", p.Hindered)
	case p.Taken != "":
		return failure("give both the same store.dsn, stop this one, and start it again", "one runs, and does not lead: %s", p.Taken)
	case !p.Messages.OK && len(p.Reasons) > 0:
		return failure("mend what the checks below name; it goes on by itself then", "one runs, and takes no messages: %s", strings.Join(p.Reasons, "; "))
	case len(p.Reasons) > 0:
		return warning("see the parts below", "one runs and is not ready: %s", p.Reasons[0])
	}
	return warning("wait, and look again", "one runs and is not ready: it starts or stops")
}

// get reads an answer of any status.
func get(ctx context.Context, url string, limit int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("the answer has more than %d bytes", limit)
	}
	return body, err
}
