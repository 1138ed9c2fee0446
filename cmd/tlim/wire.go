package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/cmd/tlim/config"
	"tlim/component"
	"tlim/component/openfire"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stream"
	"tlim/httpapi"
	"tlim/store"
)

// This file turns the configuration into that of each part, and fits the parts' types together.

func storeConfig(cfg config.Config, log *slog.Logger) store.Config {
	s := cfg.Store
	return store.Config{
		Driver: s.Driver, DSN: s.DSN.Reveal(), MaxOpen: s.MaxOpen, MaxIdle: s.MaxIdle,
		MaxLifetime: time.Duration(s.MaxLifetime), MaxWait: time.Duration(s.MaxWait), Migrate: s.Migrate, Standby: cfg.Standby.Enabled, Log: log,
	}
}

// componentConfig leaves the conveyor half of the time for the stop; see App.Stop for the rest.
func componentConfig(cfg config.Config) component.Config {
	l := cfg.Limits
	return component.Config{
		Server: cfg.XMPP.Domain, Component: cfg.XMPP.Component, Language: cfg.HTTP.Language,
		Copies: bool(cfg.XMPP.Copies), SenderAsUser: cfg.XMPP.Sender == config.SenderUser, Delivery: cfg.XMPP.Delivery,
		Acknowledgements: cfg.Receipts.Server, GroupReceipts: cfg.Receipts.GroupFanout, ArrayBodies: cfg.Envelope.Body == config.BodyArray,
		Confirm: cfg.Offline.Confirm, Grace: time.Duration(cfg.Offline.Grace),
		RevokeWindow: time.Duration(cfg.Revoke.Window), PurgeOnRemove: cfg.Sessions.PurgeOnRemove, PushHidden: cfg.Push.Content == config.PushHidden,
		SnapshotPeriod: time.Duration(cfg.Presence.Interval),
		Limits: protocol.Limits{Body: int(l.Body), Strict: l.Strict, ClientNotices: l.ClientNotices,
			GroupMembers: l.GroupMembers, GroupsPerUser: l.GroupsPerUser, GroupPosts: l.GroupPosts, UserStyles: l.UserStyles},
		UserRate: l.PerUserRate, UserBurst: l.PerUserBurst, UserInflight: l.PerUserInflight,
		Inflight: l.Inflight, InflightBytes: int64(l.InflightBytes), UnconfirmedPerUser: l.PendingPerUser,
		Calls:     component.CallConfig{Window: time.Duration(cfg.Idempotency.Window), ByBusinessID: cfg.Idempotency.ByBusinessID},
		Directory: directoryConfig(cfg.Directory), Cleanup: cleanupConfig(cfg.Cleanup), ShutdownTimeout: time.Duration(cfg.ShutdownTimeout) / 2,
	}
}

// streamConfig is that of the links to the server, registered as reg.
func streamConfig(cfg config.Config, reg prometheus.Registerer, log *slog.Logger) (stream.Config, error) {
	x := cfg.XMPP
	secure, err := clientTLS(x)
	if err != nil {
		return stream.Config{}, err
	}
	return stream.Config{
		Addresses: x.Server, Domain: x.Component, Server: x.Domain, Secret: x.Secret.Reveal(), TLS: secure,
		Connections: x.Connections, Multicast: bool(x.Multicast), PingAfter: time.Duration(x.Ping),
		AnswerRate: answerRate(cfg.Limits.PerUserRate), MaxStanza: int(cfg.Limits.Stanza), Version: version(), Registerer: reg, Log: log,
	}, nil
}

// answerRate is how many errors and answers a second one sender may provoke: of all that may be sent each could be refused, and
// as much again is for questions and for what is sent too fast.
func answerRate(perUser float64) float64 {
	if perUser == 0 {
		return 0
	}
	return max(100, 2*perUser)
}

// clientTLS is nil when the link is plain.
func clientTLS(x config.XMPP) (*tls.Config, error) {
	if !x.TLS {
		return nil, nil
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: x.ServerName, InsecureSkipVerify: x.InsecureSkipVerify}
	if x.CAFile != "" {
		pem, err := os.ReadFile(string(x.CAFile))
		if err != nil {
			return nil, fmt.Errorf("xmpp.ca_file: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("xmpp.ca_file: %s holds no certificate in PEM form", x.CAFile)
		}
	}
	return secure, nil
}

func httpConfig(cfg config.Config) httpapi.Config {
	h := cfg.HTTP
	// Names that are the site's own for sure: old clients call the host of their server, or this one.
	hosts := append(slices.Clone(h.Hosts), cfg.XMPP.Domain)
	hosts = append(hosts, cfg.XMPP.Server.Hosts()...)
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	return httpapi.Config{
		AllowAnonymous: h.AllowAnonymous, AllowFrom: prefixes(h.AllowFrom), TrustedProxies: prefixes(h.TrustedProxies), Hosts: hosts,
		Keys: httpKeys(h), KeyFile: string(h.KeyFile), CORSOrigins: h.CORSOrigins, FindUsers: h.FindUsers, Language: h.Language, UserRate: cfg.Limits.PerUserHTTP,
		AccessLog: bool(h.AccessLog),
		Offline:   httpapi.Offline{Confirm: cfg.Offline.Confirm, Grace: time.Duration(cfg.Offline.Grace), Days: cfg.Cleanup.OfflineDays},
	}
}

// webConfig is the part of the API's configuration that is about pages; places is how many of their connections there can be.
func webConfig(cfg config.Config, places int) (httpapi.Web, error) {
	secure, err := pageTLS(cfg)
	if err != nil {
		return httpapi.Web{}, err
	}
	return httpapi.Web{
		Chat: bool(cfg.Web.Chat), Admin: bool(cfg.Web.Admin), XMPP: cfg.Web.XMPPURL.Reveal(), TLS: secure, Connections: places,
		Domain: cfg.XMPP.Domain, Component: cfg.XMPP.Component, Version: version(), MaxBody: int64(cfg.Limits.Body), GroupMembers: cfg.Limits.GroupMembers,
		RevokeWindow: time.Duration(cfg.Revoke.Window), Acknowledgements: string(cfg.Receipts.Server),
	}, nil
}

// pageTLS is for web.xmpp_url: the authorities are those of the link, the name is its own.
func pageTLS(cfg config.Config) (*tls.Config, error) {
	secure, err := clientTLS(cfg.XMPP)
	if secure != nil {
		secure.ServerName = ""
	}
	return secure, err
}

func httpKeys(h config.HTTP) []httpapi.Key {
	list := make([]httpapi.Key, 0, len(h.Keys))
	for _, k := range h.Keys {
		list = append(list, httpapi.Key{Name: k.Name, Key: k.Key.Reveal(), Scopes: k.Scopes, Rate: k.Rate, Robot: protocol.Robot(k.Robot)})
	}
	return list
}

func prefixes(ranges []config.CIDR) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(ranges))
	for _, r := range ranges {
		list = append(list, r.Prefix)
	}
	return list
}

// switchboard is the handler of the links. The service needs the links to send and the links need it to receive: it is set
// between making the two and running them.
type switchboard struct{ stream.Handler }

// snapshots asks Openfire who is online, in the component's own words.
type snapshots struct{ server *openfire.Server }

func (s snapshots) Snapshot(ctx context.Context) ([]presence.Session, error) {
	sessions, err := s.server.Snapshot(ctx)
	if errors.Is(err, openfire.ErrUnsupported) {
		return nil, fmt.Errorf("%w: %w", presence.ErrNoSnapshots, err)
	}
	if err != nil {
		return nil, err
	}
	list := make([]presence.Session, len(sessions))
	for i, one := range sessions {
		list[i] = presence.Session{JID: one.JID, Show: one.Show, Priority: one.Priority}
	}
	return list, nil
}
