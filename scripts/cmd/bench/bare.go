package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// bare is the trivial component that the product is measured against: it stores nothing, checks nothing and knows nothing
// but its list of members. Of each group message it writes one copy per member, of each 1:1 message one copy; senders get
// their acknowledgements as the product sends them, one stanza for all that was read together. Its copies have the same children as
// the product's. What one read brought goes out in one write.
type bare struct {
	name    string   // its domain
	domain  string   // the server's
	members []string // bare JIDs
	in      []byte
	out     []byte // acknowledgements, then copies, as the product does it
	copied  []byte // copies, while they are gathered
	acks    []bareAck
	n       uint64 // of acknowledgements, for their ids
}

// bareAck are the messages of one device that wait for their acknowledgement.
type bareAck struct {
	full []byte
	ids  [][]byte
}

const (
	bareBuffer    = 256 << 10
	bareDialTime  = 10 * time.Second
	bareHandshake = "<handshake"
)

// serveBare connects to the server, says "ready" on said, and works until the connection ends or ctx does.
func serveBare(ctx context.Context, b *bare, address, secret string, said io.Writer) error {
	d := net.Dialer{Timeout: bareDialTime}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("bare component: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := b.shake(conn, secret); err != nil {
		return fmt.Errorf("bare component: handshake: %w", err)
	}
	if _, err := fmt.Fprintln(said, "ready"); err != nil {
		return fmt.Errorf("bare component: %w", err)
	}
	for {
		if _, err := conn.Write(b.work()); err != nil {
			return ended(ctx, err)
		}
		if err := b.fill(conn); err != nil {
			return ended(ctx, err)
		}
	}
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("bare component: %w", err)
}

// shake is XEP-0114's handshake. The server may send more in the same segment: it stays in b.in.
func (b *bare) shake(conn io.ReadWriter, secret string) error {
	_, err := fmt.Fprintf(conn, `<stream:stream xmlns="jabber:component:accept" xmlns:stream="http://etherx.jabber.org/streams" to="%s">`, b.name)
	if err != nil {
		return err
	}
	id, err := b.await(conn, ` id="`)
	if err != nil {
		return err
	}
	sum := sha1.Sum(append(id, secret...))
	if _, err := fmt.Fprintf(conn, "<handshake>%s</handshake>", hex.EncodeToString(sum[:])); err != nil {
		return err
	}
	for !bytes.Contains(b.in, []byte(bareHandshake)) {
		if bytes.Contains(b.in, []byte("<stream:error")) {
			return fmt.Errorf("refused: %s", b.in)
		}
		if err := b.fill(conn); err != nil {
			return err
		}
	}
	return nil
}

// await reads until an attribute is there, and returns its value.
func (b *bare) await(r io.Reader, attribute string) ([]byte, error) {
	for {
		if i := bytes.Index(b.in, []byte(attribute)); i >= 0 {
			value := b.in[i+len(attribute):]
			if end := bytes.IndexByte(value, '"'); end >= 0 {
				return bytes.Clone(value[:end]), nil
			}
		}
		if err := b.fill(r); err != nil {
			return nil, err
		}
	}
}

func (b *bare) fill(r io.Reader) error {
	if cap(b.in) == 0 {
		b.in = make([]byte, 0, bareBuffer)
	}
	if len(b.in) == cap(b.in) {
		return errors.New("a stanza larger than the buffer")
	}
	n, err := r.Read(b.in[len(b.in):cap(b.in)])
	b.in = b.in[:len(b.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// work takes all whole messages out of b.in and returns what is to be written.
func (b *bare) work() []byte {
	b.out, b.copied = b.out[:0], b.copied[:0]
	rest := b.in
	for {
		i := bytes.Index(rest, []byte("</message>"))
		if i < 0 {
			break
		}
		stanza := rest[:i]
		rest = rest[i+len("</message>"):]
		if start := bytes.LastIndex(stanza, []byte("<message ")); start >= 0 { // behind the server's IQs, which nobody answers
			b.message(stanza[start:])
		}
	}
	b.acknowledge()
	b.out = append(b.out, b.copied...)
	b.in = b.in[:copy(b.in, rest)]
	return b.out
}

// message writes the copies of one message stanza, whose end tag is cut off.
func (b *bare) message(stanza []byte) {
	id, from, body := between(stanza, ` id="`, `"`), between(stanza, ` from="`, `"`), span(stanza, "<body>", "</body>")
	if body == nil {
		return // a confirmation of a client
	}
	user, _, _ := bytes.Cut(from, []byte("@"))
	extension := span(stanza, "<tlim ", "</tlim>") // Openfire writes empty elements with an end tag
	if bytes.Contains(extension, []byte(`ack="1"`)) {
		b.note(from, id)
	}
	if bytes.Contains(body, []byte(`"MTS-000"`)) {
		for _, to := range b.members {
			b.copy(to, "", id, user, body, extension)
		}
		return
	}
	b.copy(string(between(body, `"msg_to":"`, `"`)), "@"+b.domain, id, user, body, extension)
}

func (b *bare) copy(to, domain string, id, user, body, extension []byte) {
	b.copied = append(b.copied, `<message type="chat" id="`...)
	b.copied = append(b.copied, id...)
	b.copied = append(b.copied, `" from="`...)
	b.copied = append(b.copied, user...)
	b.copied = append(b.copied, '@')
	b.copied = append(b.copied, b.name...)
	b.copied = append(b.copied, `" to="`...)
	b.copied = append(b.copied, to...)
	b.copied = append(b.copied, domain...)
	b.copied = append(b.copied, `">`...)
	b.copied = append(b.copied, body...)
	b.copied = append(b.copied, extension...)
	b.copied = append(b.copied, noStore+request+`</message>`...)
}

func (b *bare) note(full, id []byte) {
	for i := range b.acks {
		if bytes.Equal(b.acks[i].full, full) {
			b.acks[i].ids = append(b.acks[i].ids, id)
			return
		}
	}
	b.acks = append(b.acks, bareAck{full: full, ids: [][]byte{id}})
}

// acknowledge writes one acknowledgement per device, with all its ids, as the product does.
func (b *bare) acknowledge() {
	for _, a := range b.acks {
		user, _, _ := bytes.Cut(a.full, []byte("@"))
		b.n++
		b.out = append(b.out, `<message type="chat" id="r`...)
		b.out = strconv.AppendUint(b.out, b.n, 10)
		b.out = append(b.out, `" from="`...)
		b.out = append(b.out, b.name...)
		b.out = append(b.out, `" to="`...)
		b.out = append(b.out, a.full...)
		b.out = append(b.out, `"><body>{"body":"[`...)
		for i, id := range a.ids {
			if i > 0 {
				b.out = append(b.out, ',')
			}
			b.out = append(b.out, `{\"msg_id\":\"`...)
			b.out = append(b.out, id...)
			b.out = append(b.out, `\",\"msg_time\":\"1700000000000\"}`...)
		}
		b.out = append(b.out, `]","compress":"0","encode":"1","encrypt":"0","msg_from":"admin","msg_id":"r`...)
		b.out = strconv.AppendUint(b.out, b.n, 10)
		b.out = append(b.out, `","msg_time":"1700000000000","msg_to":"`...)
		b.out = append(b.out, user...)
		b.out = append(b.out, `","msg_type":"MTC-100","version":"2.0.0"}</body>`+noStore+`<private xmlns="urn:xmpp:carbons:2"/></message>`...)
	}
	b.acks = b.acks[:0]
}

// between returns what stands between two texts, nil when they are not there.
func between(b []byte, left, right string) []byte {
	i := bytes.Index(b, []byte(left))
	if i < 0 {
		return nil
	}
	b = b[i+len(left):]
	end := bytes.Index(b, []byte(right))
	if end < 0 {
		return nil
	}
	return b[:end]
}

// span is between with the two texts.
func span(b []byte, left, right string) []byte {
	i := bytes.Index(b, []byte(left))
	if i < 0 {
		return nil
	}
	end := bytes.Index(b[i:], []byte(right))
	if end < 0 {
		return nil
	}
	return b[i : i+end+len(right)]
}
