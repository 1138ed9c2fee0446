package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"tlim/scripts/lab"
)

const (
	groupSize = 50
	password  = "secret"
	bareName  = "bare"
	roomName  = "bench"
)

// rig holds the running parts: one Openfire, the tlims, the bare component, and the clients.
type rig struct {
	dir     string // of this run: databases and raw results
	server  *lab.Server
	mariadb *lab.Server
	bare    *exec.Cmd
	bareEnd chan error // gets how the bare component ended, once

	plain      []*member // their phones answer pings, as the libraries of clients do
	confirming []*member // their phones answer requests for receipts, and no pings
	mute       []*member // their phones answer neither
	sites      []*lab.Tlim

	sqlite, mysql                    *service
	silent                           *service          // on SQLite, for those that confirm nothing: what is unconfirmed there is only theirs
	before                           []*service        // on both databases, of the version that is measured against
	beforeSilent                     *service          // of that version, like silent
	users                            map[string]string // all accounts: name to password
	bareAddress, roomAddress, domain string
}

// service is one tlim with its groups.
type service struct {
	*lab.Tlim
	address string // C
	mode    string // in the table
	groups  map[crowd]string
}

// crowd names a group by who is in it.
type crowd int

const (
	ofPlain      crowd = iota // 50 whose phones answer pings
	ofConfirming              // 50 whose phones answer requests for receipts
	ofMute                    // 50 whose phones answer neither
	ofLarge                   // those of ofPlain among 1,000
)

func userNames(prefix string) []string {
	names := make([]string, groupSize)
	for i := range names {
		names[i] = fmt.Sprintf("%s%02d", prefix, i)
	}
	return names
}

// startRig starts what the parts of the run need.
func startRig(ctx context.Context, dir string, p plan) (r *rig, err error) {
	r = &rig{dir: dir, users: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
			r = nil
		}
	}()
	plain, confirming, mute := userNames("m"), userNames("c"), userNames("q")
	for _, name := range slices.Concat(plain, confirming, mute) {
		r.users[name] = password
	}
	if p.has("absent") {
		for _, name := range absentNames() {
			r.users[name] = password
		}
	}
	if p.has("approval") {
		for i := range p.receivers {
			r.users[receiverName(i)] = password
		}
	}
	if p.has("flood") {
		_, users := floodUsers(p.flood)
		for user := range users {
			r.users[user] = password
		}
	}
	heap := ""
	if p.has("presence") {
		heap = presenceHeap
		for _, user := range presenceUsers(p.presence.maxSessions()) {
			r.users[user] = password
		}
	}
	if p.has("day") {
		heap = presenceHeap
		for _, user := range presenceUsers(p.day.users) {
			r.users[user] = password
		}
	}
	say("starting an Openfire with %d accounts", len(r.users))
	if r.server, err = lab.StartOpenfire(ctx, lab.Options{Users: r.users, Heap: heap}); err != nil {
		return r, err
	}
	r.domain = r.server.Domain
	r.bareAddress, r.roomAddress = bareName+"."+r.domain, roomName+"@conference."+r.domain

	if p.has("group", "chat", "absent", "approval", "offline", "day") {
		say("starting a MariaDB")
		if r.mariadb, err = lab.StartMariaDB(ctx, lab.Options{}); err != nil {
			return r, err
		}
	}
	switch {
	case p.has("group", "chat", "absent", "latency", "cpu"):
	case p.has("approval"):
		r.plain, err = r.dial(ctx, plain[:2])
		fallthrough
	default: // the others start what they need
		return r, err
	}
	if p.has("group", "chat", "latency") {
		if err = r.startBare(ctx, plain); err != nil {
			return r, err
		}
	}
	if r.plain, err = r.dial(ctx, plain); err != nil {
		return r, err
	}
	groups := map[crowd][]string{ofPlain: plain}
	if p.has("group") {
		groups[ofConfirming], groups[ofMute] = confirming, mute
		if r.confirming, err = r.dial(ctx, confirming, lab.WithConfirm(), lab.WithPings(lab.IgnorePings)); err != nil {
			return r, err
		}
		if r.mute, err = r.dial(ctx, mute, lab.WithPings(lab.IgnorePings)); err != nil {
			return r, err
		}
		if err = r.enterRoom(ctx); err != nil {
			return r, err
		}
	}
	if p.has("absent") {
		groups[ofLarge] = slices.Concat(plain, absentNames())
	}
	return r, r.startServices(ctx, p, groups)
}

// startServices starts a tlim on each kind of database, and where the run is against another version, of that as well.
func (r *rig) startServices(ctx context.Context, p plan, groups map[crowd][]string) (err error) {
	if r.sqlite, err = r.startService(ctx, "tlim", "tlim, SQLite", groups, lab.TlimOptions{}); err != nil {
		return err
	}
	if p.has("group") {
		if r.silent, err = r.startService(ctx, "tlim-q", "tlim, SQLite", map[crowd][]string{ofMute: groups[ofMute]}, lab.TlimOptions{}); err != nil {
			return err
		}
	}
	if p.has("group", "chat", "absent") {
		if r.mysql, err = r.startMariaDBService(ctx, "tlim-m", "tlim, MariaDB", groups, ""); err != nil {
			return err
		}
	}
	if p.against == "" || !p.has("group", "absent", "chat") {
		return nil
	}
	lite, err := r.startService(ctx, "tlim-before", "before, SQLite", groups, lab.TlimOptions{Binary: p.against})
	if err != nil {
		return err
	}
	maria, err := r.startMariaDBService(ctx, "tlim-before-m", "before, MariaDB", groups, p.against)
	if err != nil {
		return err
	}
	r.before = []*service{lite, maria}
	if p.has("group") {
		r.beforeSilent, err = r.startService(ctx, "tlim-before-q", "before, SQLite", map[crowd][]string{ofMute: groups[ofMute]}, lab.TlimOptions{Binary: p.against})
	}
	return err
}

func (r *rig) startMariaDBService(ctx context.Context, name, mode string, groups map[crowd][]string, binary string) (*service, error) {
	db, err := newMariaDB(ctx, r.mariadb, strings.ReplaceAll(name, "-", "_"))
	if err != nil {
		return nil, err
	}
	return r.startService(ctx, name, mode, groups, lab.TlimOptions{Binary: binary, Config: db.config()})
}

func (r *rig) dial(ctx context.Context, users []string, opts ...lab.Option) ([]*member, error) {
	var list []*member
	for _, user := range users {
		m, err := dialMember(ctx, r.server, user, opts...)
		if err != nil {
			return list, err
		}
		list = append(list, m)
	}
	return list, nil
}

// startSite starts a tlim as a component of its own, which the rig stops at the end when nobody has before. What a benchmark's
// sender may not be held back by are the limits of one user: a bench has few users that send what thousands would.
func (r *rig) startSite(ctx context.Context, name string, config map[string]any) (*lab.Tlim, error) {
	return r.startTlim(ctx, name, lab.TlimOptions{Config: config})
}

func (r *rig) startTlim(ctx context.Context, name string, o lab.TlimOptions) (*lab.Tlim, error) {
	say("starting %s", name)
	settings := lab.ServerConfig(r.server)
	settings["xmpp.component"] = name + "." + r.domain
	settings["limits"] = map[string]any{"per_user_rate": 0, "per_user_inflight": 100_000, "inflight": 100_000}
	maps.Copy(settings, o.Config)
	o.Dir, o.Config = filepath.Join(r.dir, name), settings
	t, err := lab.StartTlim(ctx, o)
	if err == nil {
		r.sites = append(r.sites, t)
	}
	return t, err
}

// startService starts a tlim with groups of users.
func (r *rig) startService(ctx context.Context, name, mode string, groups map[crowd][]string, o lab.TlimOptions) (*service, error) {
	s := &service{address: name + "." + r.domain, mode: mode, groups: map[crowd]string{}}
	var err error
	if s.Tlim, err = r.startTlim(ctx, name, o); err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, users := range groups {
		for _, user := range users {
			names[user] = user
		}
	}
	if err = s.AddUsers(ctx, names); err != nil {
		return nil, err
	}
	for which, users := range groups {
		if s.groups[which], err = s.AddSession(ctx, users[0], users...); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// startBare starts this program again as the bare component: a process of its own, as tlim is one.
func (r *rig) startBare(ctx context.Context, users []string) error {
	say("starting the bare component")
	jids := make([]string, len(users))
	for i, user := range users {
		jids[i] = user + "@" + r.domain
	}
	cmd := exec.Command("/proc/self/exe", "bare", r.server.Component, r.bareAddress, r.domain, strings.Join(jids, ","))
	cmd.Env = append(os.Environ(), bareSecret+"="+r.server.Secret)
	cmd.Stderr = os.Stderr
	lab.EndsWithUs(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("bare component: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("bare component: %w", err)
	}
	r.bare, r.bareEnd = cmd, make(chan error, 1)
	ready := make(chan error, 1)
	go func() { // ends with the process, for which stop waits
		line, err := bufio.NewReader(out).ReadString('\n')
		if err == nil && line != "ready\n" {
			err = fmt.Errorf("it said %q", line)
		}
		ready <- err
		_, copyErr := io.Copy(io.Discard, out)
		r.bareEnd <- errors.Join(cmd.Wait(), copyErr)
	}()
	select {
	case err := <-ready:
		if err != nil {
			return fmt.Errorf("bare component: it is not ready: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("bare component: %w", ctx.Err())
	}
}

// bareMain is the program as the bare component.
func bareMain(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errors.New("bare: four arguments: server, name, domain, members")
	}
	b := &bare{name: args[1], domain: args[2], members: strings.Split(args[3], ",")}
	return serveBare(ctx, b, args[0], os.Getenv(bareSecret), os.Stdout)
}

// bareSecret is the environment variable with the component's secret.
const bareSecret = "BENCH_BARE_SECRET"

// enterRoom makes a room of the server's own group chat, without a log, with all plain members in it.
func (r *rig) enterRoom(ctx context.Context) error {
	for i, m := range r.plain {
		err := m.client.Send(`<presence to="` + r.roomAddress + `/` + m.user + `"><x xmlns="http://jabber.org/protocol/muc"><history maxstanzas="0"/></x></presence>`)
		if err != nil {
			return fmt.Errorf("enter the room: %w", err)
		}
		_, err = m.client.WaitForPresence(ctx, func(p lab.Presence) bool {
			return p.From == r.roomAddress+"/"+m.user && p.Type == "" && strings.Contains(string(p.Raw), "muc#user")
		})
		if err != nil {
			return fmt.Errorf("enter the room: %w", err)
		}
		if i > 0 {
			continue
		}
		_, err = m.client.IQ(ctx, "set", r.roomAddress, `<query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit">`+
			`<field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field>`+
			`<field var="muc#roomconfig_roomname"><value>bench</value></field>`+
			`<field var="muc#roomconfig_maxusers"><value>0</value></field>`+
			`<field var="muc#roomconfig_persistentroom"><value>0</value></field>`+
			`<field var="muc#roomconfig_enablelogging"><value>0</value></field></x></query>`)
		if err != nil {
			return fmt.Errorf("open the room: %w", err)
		}
	}
	for _, m := range r.plain {
		if err := m.client.Sync(ctx); err != nil {
			return fmt.Errorf("enter the room: %w", err)
		}
	}
	return nil
}

// barePID is the bare component's process.
func (r *rig) barePID() int { return r.bare.Process.Pid }

// stop ends all that was started, in order, and reports what did not end well.
func (r *rig) stop() error {
	var errs []error
	for _, t := range r.sites {
		errs = append(errs, t.Stop())
	}
	if r.bare != nil {
		errs = append(errs, r.bare.Process.Signal(syscall.SIGTERM), <-r.bareEnd)
	}
	for _, m := range slices.Concat(r.plain, r.confirming, r.mute) {
		m.client.Kill()
	}
	for _, s := range []*lab.Server{r.mariadb, r.server} {
		if s != nil {
			errs = append(errs, s.Stop())
		}
	}
	return errors.Join(errs...)
}

// clean removes the databases and files of a run that went well; results, profiles and tlim's logs stay.
func (r *rig) clean() error {
	var errs []error
	for _, pattern := range []string{"*.db*", "*/*.db*", "*/files", "copies"} {
		found, err := filepath.Glob(filepath.Join(r.dir, pattern))
		errs = append(errs, err)
		for _, path := range found {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}
