package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tlim/store"
)

var writers = []Behaviour{
	{"500 receivers of 64 KiB in one transaction", largeBatch},
	{"a write whose caller has gone is not written", cancelled},
	{"who reads sees whole batches while others write", wholeBatches},
	{"a process that was deposed writes nothing", deposed},
	{"one process leads, and another one sees whether it lives", led},
	{"a write waits for another's lock, and is put off whole when that takes too long", locked},
	{"two writers that wait for each other: one ends, and what was put off is written once", deadlock},
	{"a connection lost within a write is noticed, and the next write gets another", connectionLost},
}

// Times of the behaviours that have to wait. On SQLite nobody else can write meanwhile.
const (
	patience = time.Second            // of a store that waits for a lock
	begun    = 500 * time.Millisecond // a statement that has not ended by then is taken to wait
)

func largeBatch(c *check) {
	body := make([]byte, 64<<10)
	for i := range body {
		body[i] = 'a' + byte(i%26)
	}
	m := say(1, "z", "g", string(body))
	var keys []store.OfflineKey
	for i := range 500 {
		owner := fmt.Sprintf("u%03d", i)
		m.Offline = append(m.Offline, waiting(m.Message, owner))
		keys = append(keys, store.OfflineKey{Owner: owner, MsgID: "m1"})
	}
	if !c.apply(m) {
		return
	}
	size[store.OfflineKey, bool](c, "rows", 500)(c.s.OfflineOwners(c.ctx, []string{"m1"}))
	want(c, "one of them", m.Offline[499:])(c.s.Offline(c.ctx, "u499", "", "", "", 9))
	c.apply(store.Change{DropOffline: keys[:499]})
	want(c, "left", map[store.OfflineKey]bool{keys[499]: true})(c.s.OfflineOwners(c.ctx, []string{"m1"}))
}

func cancelled(c *check) {
	gone, cancel := context.WithCancel(c.ctx)
	cancel()
	before, err := c.s.State(c.ctx)
	if err != nil {
		c.fault("the state: %v", err)
	}
	c.is("a write", c.s.Apply(gone, c.epoch, store.Positions{}, []store.Change{say(1, "z", "g", "[]")}), store.ErrUnavailable)
	c.nothing("after it", before, "m1")
	c.apply(say(1, "z", "g", "[]"))
}

// nothing wants the state as it was, and no row of an id.
func (c *check) nothing(what string, before store.State, id string) {
	want(c, what+": the state", before)(c.s.State(c.ctx))
	size[store.IDKey, store.ID](c, what+": ids", 0)(c.s.IDs(c.ctx, []string{id}))
	size[string, []store.Message](c, what+": messages", 0)(c.s.MessagesByID(c.ctx, []string{id}))
}

func wholeBatches(c *check) {
	const batch, writing, each, readers = 8, 4, 5, 3
	written := make(chan struct{})
	var reading, wrote sync.WaitGroup
	faults := make(chan string, readers+writing)
	var reads [readers]int
	for r := range readers {
		reading.Go(func() {
			for last := int64(0); ; reads[r]++ {
				select {
				case <-written:
					return
				default:
				}
				_, total, err := c.s.GroupHistory(c.ctx, "g", store.Page{Length: 10})
				if err != nil || total%batch != 0 || total < last {
					faults <- fmt.Sprintf("a reader: wanted whole batches of %d, not fewer than %d, came %d and the error %v", batch, last, total, err)
					return
				}
				last = total
			}
		})
	}
	for w := range writing {
		wrote.Go(func() {
			for n := range each {
				var changes []store.Change
				for i := range batch {
					changes = append(changes, say((w*each+n)*batch+i, "z", "g", "[]"))
				}
				if err := c.s.Apply(c.ctx, c.epoch, store.Positions{}, changes); err != nil {
					faults <- fmt.Sprintf("a writer: wanted no error, came %v", err)
					return
				}
			}
		})
	}
	wrote.Wait()
	close(written)
	reading.Wait()
	close(faults)
	for f := range faults {
		c.fault("%s", f)
	}
	const total = batch * writing * each
	_, all, err := c.s.GroupHistory(c.ctx, "g", store.Page{})
	want(c, "all", int64(total))(all, err)
	want(c, "the state", store.State{Epoch: c.epoch, Batch: c.first.Batch + writing*each, Clock: c.first.Clock, Delivered: c.first.Delivered, Settled: c.first.Settled})(c.s.State(c.ctx))
	c.result.Note = fmt.Sprintf("%d messages by %d writers, %d pages read", total, writing, reads[0]+reads[1]+reads[2])
}

func deposed(c *check) {
	if !c.apply(say(1, "z", "g", "[]")) {
		return
	}
	second, err := c.x.Open(c.ctx, 0)
	if err != nil {
		c.fault("a second store: wanted no error, came %v", err)
		return
	}
	st, err := second.TakeOver(c.ctx)
	want(c, "its epoch", c.epoch+1)(st.Epoch, err)
	for _, epoch := range []int64{c.epoch, 0, c.epoch + 2} {
		c.is(fmt.Sprintf("a write of epoch %d", epoch), c.s.Apply(c.ctx, epoch, store.Positions{Clock: st.Clock + 9}, []store.Change{say(2, "z", "g", "[]")}), store.ErrFenced)
	}
	c.nothing("after it", st, "m2")
	c.is("a write of the second", second.Apply(c.ctx, st.Epoch, store.Positions{}, []store.Change{say(3, "z", "g", "[]")}), nil)
	c.page("history", 2, "m3", "m1")(c.s.GroupHistory(c.ctx, "g", store.Page{Length: 9}))
	_, err = c.s.Committed(c.ctx, &store.UnknownError{Epoch: c.epoch, Batch: c.first.Batch + 1})
	c.is("whether a batch of the first happened", err, store.ErrFenced)
}

// rival begins a transaction of somebody else that holds what do changes.
func (c *check) rival(do ...string) *store.Rival {
	r, err := c.x.Rival(c.ctx)
	if err != nil {
		c.fault("a second transaction: wanted no error, came %v", err)
		return nil
	}
	for _, statement := range do {
		if err := r.Do(c.ctx, statement); err != nil {
			c.fault("a second transaction: wanted no error, came %v", err)
			c.is("its end", r.End(), nil)
			return nil
		}
	}
	return r
}

func led(c *check) {
	first := store.Leader{Process: "p1", Host: "主机", PID: 7, Version: "1", Address: "127.0.0.1:9595", Domain: "im.test", Component: "tlim.im.test", Marker: "m", Standby: true, Settings: "limits.body=7d8f"}
	st, err := c.s.Lead(c.ctx, first, nil)
	want(c, "its epoch", c.epoch+1)(st.Epoch, err)
	first.Epoch, first.Settings = st.Epoch, "" // a look does not tell them
	second, err := c.x.Open(c.ctx, 0)
	if !c.is("a second store", err, nil) {
		return
	}
	seen, err := second.LookAtLeader(c.ctx)
	want(c, "who leads", store.Seen{State: st, Leader: first})(seen, err)
	want(c, "its settings", "limits.body=7d8f")(second.LeaderSettings(c.ctx, "p1"))
	want(c, "those of one that does not lead", "")(second.LeaderSettings(c.ctx, "P1"))
	heart, beats := c.s.NewHeart(), c.s.File() == "" // a file has one writer, and nobody stands by
	defer heart.Close()
	other := store.Leader{Process: "p2", Domain: "im.test", Component: "tlim.im.test"}
	if beats {
		c.is("a beat", heart.Beat(c.ctx, st.Epoch), nil)
		_, err = second.Lead(c.ctx, other, &seen)
		c.is("taken from one that lives", err, store.ErrMoved)
	}
	before, err := second.LookAtLeader(c.ctx)
	c.is("a look", err, nil)
	c.is("a write", c.s.Apply(c.ctx, st.Epoch, store.Positions{}, []store.Change{say(1, "z", "g", "[]")}), nil)
	_, err = second.Lead(c.ctx, other, &before)
	c.is("taken from one that has written", err, store.ErrMoved)
	seen, err = second.LookAtLeader(c.ctx)
	want(c, "it is known, and not free", [2]bool{true, false})([2]bool{seen.Known(), seen.Free()}, err)
	c.is("standing by", second.Stand(c.ctx, other), nil)
	c.is("and still", second.Stand(c.ctx, other), nil)
	waits := other
	waits.Beat = 1
	want(c, "who stands by", waits)(c.s.LookAtStandby(c.ctx))
	other.Reaches, waits.Reaches, waits.Beat = true, true, 2
	c.is("the server answers it", second.Stand(c.ctx, other), nil)
	want(c, "that is told", waits)(c.s.LookAtStandby(c.ctx))
	other.Reaches = false
	st2, err := second.Lead(c.ctx, other, &seen)
	want(c, "the epoch of one that takes over from a silent one", st.Epoch+1)(st2.Epoch, err)
	if beats {
		c.is("a beat of the deposed one", heart.Beat(c.ctx, st.Epoch), store.ErrFenced)
	}
	c.is("its write", c.s.Apply(c.ctx, st.Epoch, store.Positions{}, []store.Change{say(2, "z", "g", "[]")}), store.ErrFenced)
	c.is("its release", c.s.Release(c.ctx, st.Epoch), store.ErrFenced)
	c.is("release", second.Release(c.ctx, st2.Epoch), nil)
	seen, err = c.s.LookAtLeader(c.ctx)
	want(c, "it is free", true)(seen.Free(), err)
	c.is("the standby's end", second.Sit(c.ctx, other), nil)
	gone, err := c.s.LookAtStandby(c.ctx)
	want(c, "the standby's end is seen", true)(gone.Released, err)
	// An older tlim tells nothing of itself.
	st3, err := c.s.TakeOver(c.ctx)
	c.is("an older one", err, nil)
	seen, err = c.s.LookAtLeader(c.ctx)
	want(c, "the epoch that counts, known, free", [3]any{st3.Epoch, false, false})([3]any{seen.State.Epoch, seen.Known(), seen.Free()}, err)
	_, err = second.Lead(c.ctx, other, &seen)
	c.is("taken from an older one", err, nil)
}

// impatient is a second store that waits for locks no longer than patience, with its epoch.
func (c *check) impatient() (*store.Store, store.State, bool) {
	s, err := c.x.Open(c.ctx, patience)
	if err != nil {
		c.fault("a second store: wanted no error, came %v", err)
		return nil, store.State{}, false
	}
	st, err := s.TakeOver(c.ctx)
	c.is("its epoch", err, nil)
	return s, st, err == nil
}

const holdState = "UPDATE tlim_state SET batch = batch WHERE id = 1"

func locked(c *check) {
	write := func(s *store.Store, epoch int64, id int) chan error {
		done := make(chan error, 1)
		go func() { done <- s.Apply(c.ctx, epoch, store.Positions{}, []store.Change{say(id, "z", "g", "[]")}) }()
		return done
	}
	r := c.rival(holdState)
	if r == nil {
		return
	}
	done := write(c.s, c.epoch, 1)
	if !c.waits(done, r) {
		return
	}
	c.is("the end of the other", r.End(), nil)
	c.is("the write, then", <-done, nil)

	s, st, ok := c.impatient()
	if !ok {
		return
	}
	if r = c.rival(holdState); r == nil {
		return
	}
	before, err := s.State(c.ctx)
	if err != nil {
		c.fault("the state, under another's lock: wanted no error, came %v", err)
	}
	c.late("a write that waits too long", <-write(s, st.Epoch, 2))
	c.is("the end of the other", r.End(), nil)
	c.nothing("after it", before, "m2")
	c.is("the write again", <-write(s, st.Epoch, 2), nil)
	c.page("history", 2, "m2", "m1")(c.s.GroupHistory(c.ctx, "g", store.Page{Length: 9}))
}

// waits wants a write that needs what the other holds to wait for it. How an engine shows who waits is its own, so time tells.
func (c *check) waits(done <-chan error, r *store.Rival) bool {
	select {
	case err := <-done:
		c.fault("a write under another's lock: wanted it to wait, came its end with %v", err)
		c.is("the end of the other", r.End(), nil)
		return false
	case <-time.After(begun):
		return true
	}
}

// late wants a write to be put off: nothing of it is there, and it may be tried again.
func (c *check) late(what string, err error) {
	var unknown *store.UnknownError
	if errors.As(err, &unknown) || errors.Is(err, store.ErrData) {
		c.fault("%s: wanted it to be put off, came %v", what, err)
		return
	}
	c.is(what, err, store.ErrUnavailable)
}

func deadlock(c *check) {
	s, st, ok := c.impatient()
	if !ok {
		return
	}
	made := say(1, "z", "g", "[]")
	made.Groups = []store.Group{{ID: "g", Name: "g", Owner: "z", CreateTime: at(0)}}
	if err := s.Apply(c.ctx, st.Epoch, store.Positions{}, []store.Change{made}); !c.is("a write", err, nil) {
		return
	}
	// The other has the group, which ours waits for, and then asks for the state, which ours has. It has changed more, so that a server
	// ends ours.
	others := []string{"UPDATE ofsession SET session_name = 'x' WHERE session_id = 'g'"}
	for i := range 50 {
		others = append(others, fmt.Sprintf("INSERT INTO ofpubact (id_) VALUES ('%d')", i))
	}
	r := c.rival(others...)
	if r == nil {
		return
	}
	touched := say(2, "z", "g", "[]")
	touched.TouchGroup = "g"
	done := make(chan error, 1)
	go func() { done <- s.Apply(c.ctx, st.Epoch, store.Positions{}, []store.Change{touched}) }()
	if !c.waits(done, r) {
		return
	}
	theirs := r.Do(c.ctx, holdState)
	if theirs != nil { // it was the victim: ours goes on when its transaction has ended
		c.is("the end of the other", r.End(), nil)
	}
	ours := <-done
	c.is("the end of the other", r.End(), nil)
	switch {
	case ours == nil && theirs != nil:
		c.result.Note = "the other was ended: " + theirs.Error()
	case ours == nil:
		c.result.Note = "nobody was ended"
	default:
		c.result.Note = "ours was ended: " + ours.Error()
		c.late("ours", ours)
		size[store.IDKey, store.ID](c, "ids of what was put off", 0)(s.IDs(c.ctx, []string{"m2"}))
		c.is("ours again", s.Apply(c.ctx, st.Epoch, store.Positions{}, []store.Change{touched}), nil)
	}
	c.page("history", 2, "m2", "m1")(s.GroupHistory(c.ctx, "g", store.Page{Length: 9}))
	want(c, "the group", map[string]store.Group{"g": {ID: "g", Name: "g", Owner: "z", CreateTime: at(0), ModifyTime: at(2)}})(s.Groups(c.ctx, []string{"g"}))
	want(c, "what the other wrote", 0)(s.CountAnnouncements(c.ctx, ""))
}

func connectionLost(c *check) {
	s, err := c.x.Open(c.ctx, 0)
	if err != nil {
		c.fault("a second store: wanted no error, came %v", err)
		return
	}
	st, err := s.TakeOver(c.ctx)
	if !c.is("its epoch", err, nil) {
		return
	}
	made := say(1, "z", "g", "[]")
	made.Groups = []store.Group{{ID: "g", Name: "g", Owner: "z", CreateTime: at(0)}}
	if err := s.Apply(c.ctx, st.Epoch, store.Positions{}, []store.Change{made}); !c.is("a write", err, nil) {
		return
	}
	cut, why := c.x.Cutter(c.ctx, s)
	if cut == nil {
		c.result.Skipped = why
		return
	}
	before, err := s.State(c.ctx)
	c.is("the state", err, nil)
	r := c.rival("UPDATE ofsession SET session_name = 'x' WHERE session_id = 'g'")
	if r == nil {
		return
	}
	touched := say(2, "z", "g", "[]")
	touched.TouchGroup = "g"
	done := make(chan error, 1)
	go func() { done <- s.Apply(c.ctx, st.Epoch, store.Positions{}, []store.Change{touched}) }()
	if !c.waits(done, r) {
		return
	}
	if err := cut(c.ctx); err != nil {
		c.result.Skipped = "the connection could not be ended: " + err.Error()
		c.is("the end of the other", r.End(), nil)
		c.is("the write", <-done, nil)
		return
	}
	var lost error
	select {
	case lost = <-done:
	case <-time.After(5 * time.Second):
		c.fault("a write whose connection was ended: wanted an error within 5 s, came none")
		c.is("the end of the other", r.End(), nil)
		<-done
		return
	}
	c.late("a write whose connection was ended", lost)
	c.result.Note = fmt.Sprint("seen as: ", lost)
	c.is("the end of the other", r.End(), nil)
	c.nothing("after it", before, "m2")
	c.is("the write again", s.Apply(c.ctx, st.Epoch, store.Positions{}, []store.Change{touched}), nil)
	c.page("history", 2, "m2", "m1")(s.GroupHistory(c.ctx, "g", store.Page{Length: 9}))
}
