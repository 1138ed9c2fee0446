package component

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/cache"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata/kinds")

// TestKinds plays every script in testdata/kinds: one file per kind and case. A line that begins with ": " is set-up and its
// effects are not shown, one that begins with "> " is followed by everything it did: rows written (+), copies (->), answers to
// the sender (<-) and what is unconfirmed from then on (?; the golden files say "owed", as the metrics do). "#" is prose. Ids that the server makes and times are
// normalised.
func TestKinds(t *testing.T) {
	files, err := filepath.Glob("testdata/kinds/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("scripts: got none (error %v), want some", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(script))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(script) {
				t.Errorf("%s: got what differs from it, want the same, or -update once this is meant:\n%s", file, diff(string(script), got))
			}
		})
	}
}

// diff shows the lines that only one of two texts has.
func diff(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out strings.Builder
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(a) > 0 && len(b) > 0 && a[0] == b[0]:
			a, b = a[1:], b[1:]
		case len(a) > 0 && (len(b) == 0 || !slices.Contains(b, a[0])):
			fmt.Fprintln(&out, "want:", a[0])
			a = a[1:]
		default:
			fmt.Fprintln(&out, "got: ", b[0])
			b = b[1:]
		}
	}
	return out.String()
}

// player runs the commands of one script.
type player struct {
	*harness
	out             strings.Builder
	names           map[string]string // of ids that the server made
	made            int               // of those that are not groups
	sent            string            // the envelope of the command
	lastUnconfirmed string
}

func play(t *testing.T, script string) string {
	t.Helper()
	p := &player{names: map[string]string{}}
	configure := func(*Config) {}
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		quiet := strings.HasPrefix(line, ": ")
		command, loud := strings.CutPrefix(line, "> ")
		if !quiet && !loud {
			if line == "" || line[0] == '#' {
				fmt.Fprintln(&p.out, line)
			}
			continue
		}
		fmt.Fprintln(&p.out, line)
		if quiet {
			command = line[2:]
		}
		name, rest, _ := strings.Cut(command, " ")
		if name == "config" {
			configure = config(t, rest)
			continue
		}
		if p.harness == nil {
			p.harness = start(t, configure)
		}
		p.run(t, name, p.named(rest))
		p.sync()
		if shown := p.effects(); loud {
			p.out.WriteString(shown)
		}
	}
	return p.out.String()
}

// named puts the ids of groups in, and those of messages that the server made, where they stand alone.
func (p *player) named(text string) string {
	for id, name := range p.names {
		if strings.HasPrefix(name, "$") {
			text = strings.ReplaceAll(text, name, id)
		} else {
			text = strings.ReplaceAll(text, `"`+name+`"`, `"`+id+`"`)
		}
	}
	return text
}

func config(t *testing.T, text string) func(*Config) {
	return func(c *Config) {
		for _, word := range strings.Fields(text) {
			key, value, _ := strings.Cut(word, "=")
			switch key {
			case "confirm":
				c.Confirm = ConfirmMode(value)
			case "delivery":
				c.Delivery = DeliveryMode(value)
			case "receipts":
				c.Acknowledgements = AcknowledgementMode(value)
			case "group_fanout":
				c.GroupReceipts = GroupReceiptMode(value)
			case "copies":
				c.Copies = true
			case "sender_as_user":
				c.SenderAsUser = true
			case "array_bodies":
				c.ArrayBodies = true
			case "client_notices":
				c.Limits.ClientNotices = true
			case "strict":
				c.Limits.Strict = true
			case "window":
				c.RevokeWindow, _ = time.ParseDuration(value)
			default:
				t.Fatalf("got the setting %q, want one of those above", word)
			}
		}
	}
}

func (p *player) run(t *testing.T, name, rest string) {
	t.Helper()
	words := strings.Fields(rest)
	first, after, _ := strings.Cut(rest, " ")
	switch name {
	case "online":
		p.online(words...)
	case "blind":
		p.blind()
	case "offline":
		p.offline(rest)
	case "vanish": // without a word
		local, resource, _ := strings.Cut(rest, "/")
		p.server.mu.Lock()
		delete(p.server.sessions, local+"@"+testServer+"/"+resource)
		p.server.mu.Unlock()
	case "snapshot":
		p.clock.Move(tickPeriod)
		p.snapshot()
	case "clock":
		d, err := time.ParseDuration(rest)
		if err != nil {
			t.Fatal(err)
		}
		p.clock.Move(d)
	case "group": // NAME OWNER MEMBER...
		id := p.makeGroup(words[1], words[2:]...)
		p.names[id] = "$" + words[0]
	case "user": // ID
		p.must(t, p.AddUsers(t.Context(), []store.User{{ID: rest}}))
	case "send": // DEVICE ENVELOPE
		p.sent = after
		p.send(first, after)
	case "sendto": // DEVICE ADDRESS ENVELOPE, without an extension
		to, envelope, _ := strings.Cut(after, " ")
		p.sent = envelope
		p.sendRaw(first, to, "<body>"+string(stanza.AppendEscaped(nil, envelope))+"</body>")
	case "raw": // DEVICE ADDRESS XML
		to, xml, _ := strings.Cut(after, " ")
		p.sendRaw(first, to, xml)
	case "copied": // DEVICE ADDRESS ENVELOPE: seen as a packet copy of what went to the server itself
		to, envelope, _ := strings.Cut(after, " ")
		p.sent = envelope
		p.copied(first, to, "<body>"+string(stanza.AppendEscaped(nil, envelope))+"</body>")
	case "copiedraw": // DEVICE ADDRESS XML
		to, xml, _ := strings.Cut(after, " ")
		p.copied(first, to, xml)
	case "remove": // GROUP MEMBER...
		_, err := p.ModifyGroup(t.Context(), GroupEdit{ID: words[0], Remove: words[1:]})
		p.must(t, err)
	case "add":
		_, err := p.ModifyGroup(t.Context(), GroupEdit{ID: words[0], Add: words[1:]})
		p.must(t, err)
	case "delete":
		_, err := p.DeleteGroup(t.Context(), rest)
		p.must(t, err)
	case "dissolve":
		p.must(t, p.Dissolve(t.Context(), rest))
	case "switch": // GROUP: closed in the web list
		p.must(t, p.SwitchGroup(t.Context(), rest, 1))
	case "close": // the same, by another process
		one := 1
		p.must(t, p.db.Apply(t.Context(), p.epoch, store.Positions{}, []store.Change{{EditGroups: []store.GroupEdit{{ID: rest, Valid: &one}}}}))
		p.clock.Move(cache.GroupAge) // others write the table too, and are seen then
	case "notice": // TYPE RECEIVERS BODY
		to, body, _ := strings.Cut(after, " ")
		_, err := p.Notify(t.Context(), Notice{Type: first, Body: body, Receivers: strings.Split(to, ",")})
		if refusal := protocol.AsError(err); err != nil && refusal.Code != protocol.TryLater {
			fmt.Fprintf(&p.out, "  refused: %s: %s\n", refusal.Code, refusal.Text)
			return
		}
		p.must(t, err)
	case "push": // USER CODE
		p.must(t, p.RegisterPush(t.Context(), first, after))
	case "getOffline":
		rows, err := p.waits(first, after, 0)
		p.must(t, err)
		for _, row := range rows {
			where := "row"
			if row.ID == "" {
				where = "owed"
			}
			fmt.Fprintf(&p.out, "  %s %s/%d %s\n", where, row.MsgID, row.Status, row.Type)
		}
	case "counters":
		p.counters(t)
	case "hasUnread":
		unread, err := p.HasUnread(t.Context(), rest)
		p.must(t, err)
		fmt.Fprintf(&p.out, "  %v\n", unread)
	default:
		t.Fatalf("got the command %q, want one of those above", name)
	}
}

// counters shows what was counted.
func (p *player) counters(t *testing.T) {
	t.Helper()
	families, err := p.metered.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if n := m.GetCounter().GetValue(); n > 0 {
				label := ""
				for _, l := range m.GetLabel() {
					label += " " + l.GetValue()
				}
				fmt.Fprintf(&p.out, "  %s%s %v\n", f.GetName(), label, n)
			}
		}
	}
}

func (p *player) copied(device, to, inner string) {
	local, resource, _ := strings.Cut(device, "/")
	p.CopiedMessage(stanza.Stanza{Name: "message", Type: "chat", ID: "s1", From: local + "@" + testServer + "/" + resource, To: to, Inner: []byte(inner)})
}

func (p *player) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		fmt.Fprintf(&p.out, "  refused: %v\n", err)
	}
}

// effects renders what the store and the server saw since the last call.
func (p *player) effects() string {
	var b strings.Builder
	var confirmed store.Change // what was confirmed, and by whom, is written by one batch or by two
	for _, c := range p.rec.take() {
		rest := c
		rest.DropOffline, rest.Learn, rest.Confirming = nil, nil, nil
		if !reflect.ValueOf(rest).IsZero() {
			writeChange(&b, &c)
			continue
		}
		confirmed.DropOffline, confirmed.Learn, confirmed.Confirming = append(confirmed.DropOffline, c.DropOffline...), append(confirmed.Learn, c.Learn...), append(confirmed.Confirming, c.Confirming...)
	}
	writeChange(&b, &confirmed)
	deliveries, posts := p.sender.take()
	for _, d := range deliveries {
		var to []string
		for _, target := range d.To {
			entry := target.JID
			if target.Private {
				entry += " (private)"
			}
			if target.Request {
				entry += " (asked to confirm)"
			}
			to = append(to, entry)
		}
		slices.Sort(to) // phones that were asked stand behind others, and who is asked depends on the batches
		fmt.Fprintf(&b, "  -> %s from %s to %s: %s\n", d.ID, d.From, strings.Join(to, ", "), p.payload(d.Payload))
	}
	if _, behind := p.pinged(); behind != "" {
		fmt.Fprintf(&b, "  pings behind copies to %s\n", byDevice(behind))
	}
	for _, post := range posts {
		fmt.Fprintf(&b, "  <- %s\n", p.payload([]byte(post)))
	}
	if now := p.unconfirmedCopies(); now != p.lastUnconfirmed {
		p.lastUnconfirmed = now
		fmt.Fprintf(&b, "  ? owed: %s\n", cmp.Or(now, "nothing"))
	}
	return p.normal(b.String())
}

// byDevice names the devices that were asked: which copies share a ping is a matter of how many batches there were.
func byDevice(behind string) string {
	devices := map[string]bool{}
	for _, ping := range strings.Split(behind, ", ") {
		device, _, _ := strings.Cut(ping, ": ")
		devices[device] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(devices)), ", ")
}

func (p *player) unconfirmedCopies() string {
	var list []string
	p.unconfirmed.List(func(c unconfirmed.Copy) {
		entry := fmt.Sprintf("%s %s/%d", c.Local, c.MsgID, c.Status)
		if c.Confirm {
			entry += " until confirmed"
		}
		list = append(list, entry)
	})
	return strings.Join(list, ", ")
}

var short = strings.NewReplacer(`<no-store xmlns="urn:xmpp:hints"/>`, "<no-store/>", `<request xmlns="urn:xmpp:receipts"/>`, "<request/>",
	`<private xmlns="urn:xmpp:carbons:2"/>`, "<private/>", ` xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"`, "", ` xmlns="im.itonglian.com"`, "")

// payload shows what a stanza holds, and the sender's own envelope as such.
func (p *player) payload(b []byte) string {
	if p.sent != "" {
		b = bytes.ReplaceAll(b, append(stanza.AppendEscaped([]byte("<body>"), p.sent), "</body>"...), []byte("<body>AS SENT</body>"))
	}
	text := string(b)
	text = acknowledgementShape.ReplaceAllString(text, "acknowledgement to $2: $3")
	text = errorShape.ReplaceAllString(text, "$6 ($4, $3) from $1 to $2: $5")
	return short.Replace(text)
}

// Answers have one shape; what differs from it is shown as it is.
var (
	acknowledgementShape = regexp.MustCompile(`^<message type="chat" id="([0-9a-f-]{36})" from="tlim\.im\.test" to="([^"]*)"><body>` +
		`\{"body":"\[((?:\{\\"msg_id\\":\\"[^"]*\\",\\"msg_time\\":\\"\d+\\"\},?)+)\]","compress":"0","encode":"1","encrypt":"0","msg_from":"admin",` +
		`"msg_id":"[0-9a-f-]{36}","msg_time":"\d+","msg_to":"[^"]*","msg_type":"MTC-100","version":"2\.0\.0"\}</body>` +
		`<no-store xmlns="urn:xmpp:hints"/><private xmlns="urn:xmpp:carbons:2"/></message>$`)
	errorShape = regexp.MustCompile(`^<message type="error" from="([^"]*)" to="([^"]*)" id="s1"><error type="([a-z]*)">` +
		`<([a-z-]*) xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas" xml:lang="en">error-\d\d\d: ([^<]*)</text>` +
		`<code xmlns="urn:tlim:errors">(error-\d\d\d)</code></error></message>$`)
)

var (
	times = regexp.MustCompile(`\b16\d{11}\b`)
	uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
)

// normal names ids by their order of appearance, and times by their distance from the start.
func (p *player) normal(text string) string {
	text = uuids.ReplaceAllStringFunc(text, func(id string) string {
		if p.names[id] == "" {
			p.made++
			p.names[id] = fmt.Sprintf("#%d", p.made)
		}
		return p.names[id]
	})
	return times.ReplaceAllStringFunc(text, func(ms string) string { return fmt.Sprintf("T+%d", protocol.TimeOrZero(ms)-1_600_000_000_000) })
}

// writeChange renders the rows of a change.
func writeChange(b *strings.Builder, c *store.Change) {
	line := func(format string, args ...any) { fmt.Fprintf(b, "  + "+format+"\n", args...) }
	for _, d := range c.DropMessages {
		line("remove message %s of %s", d.MsgID, cmp.Or(d.SessionID, d.From+" and "+d.To))
	}
	for _, k := range c.DropOffline {
		line("remove row of %s: %s", k.Owner, cmp.Or(k.MsgID, k.RowID))
	}
	for _, id := range c.DropGroups {
		line("remove group %s and its members", id)
	}
	for _, id := range c.DropQueues {
		line("remove rows of group %s", id)
	}
	for _, m := range c.DropMembers {
		line("remove member %s of %s", m.UserID, m.SessionID)
	}
	for _, a := range c.DropAuthors {
		line("remove messages of %s in %s", a.UserID, a.SessionID)
	}
	if m := c.Message; m != nil {
		line("message %s %s %s -> %s session %s at %s %s%s", m.MsgID, m.Type, m.From, m.To, m.SessionID, m.Time, m.Body, flags(m.Flags))
	}
	for _, id := range c.IDs {
		line("id %s/%s %s by %s in %q", id.MsgID, id.Class, id.State, id.From, id.Conversation)
	}
	for _, id := range c.SetIDs {
		line("id %s/%s is %s by %s in %q", id.MsgID, id.Class, id.State, id.From, id.Conversation)
	}
	for _, r := range c.Offline {
		line("row of %s/%d: %s %s %s -> %s session %s at %s %s%s", r.Owner, r.Status, r.MsgID, r.Type, r.From, r.To, r.SessionID, r.Time, r.Body, flags(r.Flags))
	}
	for _, r := range c.Receipts {
		verb := "raised to"
		if r.ID != "" {
			verb = "new"
		}
		line("receipt %s of %s read by %s: %s %d", r.MsgID, r.Sender, r.Reader, verb, r.Status)
	}
	for _, r := range c.Chats {
		verb := "moved to"
		if r.ID != "" {
			verb = fmt.Sprintf("new, named %s,", r.Name)
		}
		line("list of %s: %s %s %s", r.Owner, r.Partner, verb, r.ModifyTime)
	}
	if c.TouchGroup != "" {
		line("group %s moved and open", c.TouchGroup)
	}
	for _, g := range c.Groups {
		line("group %s %q type %d of %s", g.ID, g.Name, g.Type, g.Owner)
	}
	for _, e := range c.EditGroups {
		line("group %s edited", e.ID)
	}
	for _, m := range c.Members {
		line("member %s (%s) of %s since %s", m.UserID, m.UserName, m.SessionID, m.Since)
	}
	for _, f := range c.Formers {
		line("former %s of %s at %s", f.UserID, f.SessionID, f.Time)
	}
	learned := slices.Clone(c.Learn)
	slices.SortFunc(learned, func(a, b store.User) int { return strings.Compare(a.ID, b.ID) })
	for _, u := range learned {
		line("learned %s", u.ID)
	}
	for _, u := range c.SetPush {
		line("push code of %s: %q %s", u.ID, u.PushCode, u.PushOS)
	}
	for _, m := range c.Confirming {
		line("%s confirms %s", m.UserID, [...]string{"no more", "by XEP-0184 from now on", "by pings from now on"}[m.How])
	}
	for _, u := range c.FileUses {
		line("file %s is named by %s", u.FileID, u.MsgID)
	}
	for _, g := range c.Purges {
		line("to be emptied: group %s up to %s", g.SessionID, g.Time)
	}
}

func flags(text string) string {
	if text == "" {
		return ""
	}
	return " flags " + text
}
