package standby

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlim/store"
)

func TestRoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rows{}
		first := run(t, r, "first")
		if took := first.until(t); took > time.Second {
			t.Errorf("on a new database the first leads after %v, want at once", took)
		}
		second := run(t, r, "second")
		time.Sleep(10 * time.Minute)
		if second.Leading() {
			t.Error("got the second leading beside a leader that lives, want it to stand by")
		}
		for _, c := range []struct {
			role *Role
			want string
		}{{first.Role, "second"}, {second.Role, "first"}} {
			if other, alive := c.role.Other(); other.Process != c.want || !alive {
				t.Errorf("got %q, alive %v, want %q alive", other.Process, alive, c.want)
			}
		}

		// A heart that stops: the row is silent. A database that is away for all proves nothing.
		r.set(func() { r.away = true })
		time.Sleep(15 * time.Second)
		r.set(func() { r.away = false })
		time.Sleep(time.Minute)
		if second.Leading() {
			t.Error("the second leads after the database was away for both, want the first to have stayed")
		}
		first.cancel()
		if took := second.until(t); took < silence-beatPeriod || took > silence+beatPeriod {
			t.Errorf("after the death of the first the second leads after %v, want %v, give or take a heartbeat", took, silence)
		}
		<-first.ended

		// One that ends in order: at once.
		third := run(t, r, "third")
		time.Sleep(time.Minute)
		if err := second.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if took := third.until(t); took > 2*lookPeriod {
			t.Errorf("after the orderly end of the second the third leads after %v, want at most %v", took, 2*lookPeriod)
		}
		// The deposed one hears of it.
		if err := <-second.ended; !errors.Is(err, store.ErrFenced) {
			t.Errorf("the second ends with %v, want %v", err, store.ErrFenced)
		}
		if _, err := second.TakeOver(t.Context()); !errors.Is(err, store.ErrFenced) {
			t.Errorf("the second takes over: got %v, want %v", err, store.ErrFenced)
		}
		if st, err := third.TakeOver(t.Context()); err != nil || st.Epoch != 3 {
			t.Errorf("the third takes over: got epoch %d, %v, want 3", st.Epoch, err)
		}
		third.cancel()
		<-third.ended
	})
}

// A leader whose heartbeats do not arrive gives up, and one whose COMMIT was taken without an answer leads all the same.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rows{state: store.State{Epoch: 7}, lost: true} // of an older tlim, which tells nothing
		first := run(t, r, "first")
		if took := first.until(t); took < silence || took > silence+beatPeriod {
			t.Errorf("after an older one that is silent it leads after %v, want %v", took, silence)
		}
		begin := time.Now()
		r.set(func() { r.deaf = true })
		if err := <-first.ended; !errors.Is(err, ErrGivenUp) {
			t.Errorf("got %v, want %v", err, ErrGivenUp)
		}
		if took := time.Since(begin); took < givingUp || took > givingUp+2*beatPeriod {
			t.Errorf("it gave up after %v, want %v", took, givingUp)
		}
	})
}

// A leader that was paused for long goes on, when its first heartbeat fails and nobody has taken over.
func TestPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rows{}
		first := run(t, r, "first")
		first.until(t)
		beat := func() (n int64) {
			r.set(func() { n = r.leader.Beat })
			return n
		}
		r.set(func() { r.pause = 3 * givingUp })
		time.Sleep(3*givingUp + beatPeriod/2)
		before := beat()
		time.Sleep(5 * beatPeriod)
		select {
		case err := <-first.ended:
			t.Fatalf("it ended with %v, want it to go on", err)
		default:
		}
		if beat() == before {
			t.Error("got no heartbeat after the pause, want some")
		}
		first.cancel()
		<-first.ended
	})
}

// A standby that does not fit the leader ends with the reason; one that cannot tell goes on.
func TestFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rows{}
		leader := run(t, r, "leader")
		leader.until(t)
		asked, why := 0, errors.New("the files are away")
		other := roleOn(r, "other")
		other.cfg.Fits = func(_ context.Context, l store.Leader) error {
			if asked++; asked < 3 {
				return why
			}
			return &RefusedError{"no: " + l.Process}
		}
		var refused *RefusedError
		if err := other.Await(t.Context()); !errors.As(err, &refused) || refused.Text != "no: leader" || asked != 2+proofs {
			t.Errorf("got %v after %d questions, want the refusal when it has been the same %d times", err, asked, proofs)
		}
		if other.Leading() {
			t.Error("it leads, want it not to")
		}
		leader.cancel()
		<-leader.ended
	})
}

// A leader that ends removes its marker: whoever looks for it in that moment is not refused by it, also where the leader could not say any more that it ends.
func TestFitsALeaderThatEnds(t *testing.T) {
	for _, c := range []struct {
		name     string
		released bool
		within   time.Duration
	}{{"in order", true, beatPeriod}, {"without a word", false, silence + 2*beatPeriod}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rows{}
				leader := run(t, r, "leader")
				leader.until(t)
				var ended time.Time
				other := roleOn(r, "other")
				other.cfg.Fits = func(context.Context, store.Leader) error {
					if ended.IsZero() { // it beats once more than was seen, and is gone
						time.Sleep(beatPeriod)
						leader.cancel()
						<-leader.ended
						if c.released {
							r.set(func() { r.leader.Released = true })
						}
						ended = time.Now()
					}
					return &RefusedError{"its marker is gone"}
				}
				if err := other.Await(t.Context()); err != nil || !other.Leading() {
					t.Fatalf("got %v, want it to lead", err)
				}
				if took := time.Since(ended); took > c.within {
					t.Errorf("it leads after %v, want it within %v", took, c.within)
				}
			})
		})
	}
}

// The leader looks at who stands by, until there is nothing to be said of it.
func TestSees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rows{}
		leader := roleOn(r, "leader")
		ctx, cancel := context.WithCancel(t.Context())
		var log strings.Builder
		leader.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		asked := 0
		leader.cfg.Sees = func(_ context.Context, other store.Leader) error {
			if asked++; asked < 4 {
				return errors.New("what " + other.Process + " writes cannot be read")
			}
			return nil
		}
		if err := leader.Await(ctx); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() { _ = leader.Run(ctx) })
		both.Go(func() { _ = leader.Look(ctx) })
		second := run(t, r, "second")
		time.Sleep(time.Minute)
		second.cancel()
		<-second.ended
		cancel()
		both.Wait()
		if n := strings.Count(log.String(), "what second writes cannot be read"); asked != 4 || n != 1 {
			t.Errorf("asked %d times, and got %d lines, want 4 and 1:\n%s", asked, n, &log)
		}
	})
}

// A leader that is deposed says so at once, whatever else it asks of a database that hangs and takes no word of the end.
func TestDeposedWhileItLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, over := &rows{}, make(chan struct{})
		first := roleOn(r, "first")
		first.cfg.Store = hanging{r, over}
		if err := first.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var looking sync.WaitGroup
		looking.Go(func() { _ = first.Look(ctx) })
		synctest.Wait()
		r.set(func() { r.leader.Epoch++ })
		began := time.Now()
		if err := first.Run(ctx); !errors.Is(err, store.ErrFenced) {
			t.Errorf("got %v, want %v", err, store.ErrFenced)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v, want no wait for a look at the standby", took)
		}
		cancel()
		close(over)
		looking.Wait()
	})
}

// hanging is a database that gives no answer about the standby before over is closed.
type hanging struct {
	*rows
	over chan struct{}
}

func (h hanging) LookAtStandby(context.Context) (store.Leader, error) {
	<-h.over
	return store.Leader{}, errAway
}

// A leader that is cut off from the server alone hands over; where both are, or nobody knows, none does.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b := &rows{}, &site{}, &site{}
		stays := func(what string, one *running, d time.Duration) {
			t.Helper()
			time.Sleep(d)
			select {
			case err := <-one.ended:
				t.Fatalf("%s: the leader ended with %v, want it to stay", what, err)
			default:
			}
		}
		first := runAt(t, r, "first", a)
		first.until(t)
		alone := func(cut bool) { a.cut.Store(cut) }

		// 1. Nobody who could lead.
		alone(true)
		stays("nobody stands by", first, 10*time.Minute)
		alone(false)
		old := run(t, r, "of a version that tells nothing")
		time.Sleep(10 * time.Second)
		alone(true)
		stays("the standby tells nothing", first, 10*time.Minute)
		alone(false)
		old.cancel()
		<-old.ended
		second := runAt(t, r, "second", b)
		time.Sleep(time.Minute)
		alone(true)
		b.cut.Store(true)
		stays("the server is away for both", first, 10*time.Minute)

		// 2. A server that is back for both within seconds of each other, and cuts that are short.
		b.cut.Store(false)
		stays("the server is back", first, handOver-reachPeriod-reachTime)
		alone(false)
		for range 10 {
			stays("in between", first, handOver)
			alone(true)
			stays("a short cut", first, handOver-2*beatPeriod)
			alone(false)
		}

		// 3. No heartbeat arrives: the standby takes over by itself, or nobody can.
		r.set(func() { r.away = true })
		alone(true)
		stays("the database is away as well", first, handOver+2*beatPeriod)
		alone(false)
		r.set(func() { r.away = false })
		stays("both are back", first, time.Minute)

		// 4. The leader alone is cut off.
		began := time.Now()
		alone(true)
		if err := <-first.ended; !errors.Is(err, ErrHandedOver) || !strings.Contains(err.Error(), "process 0") {
			t.Errorf("got %v, want %v", err, ErrHandedOver)
		}
		if took := time.Since(began); took < handOver-beatPeriod || took > handOver+2*beatPeriod {
			t.Errorf("it handed over after %v, want %v", took, handOver)
		}
		if took := second.until(t); took > 2*lookPeriod {
			t.Errorf("the second leads %v later, want at once", took)
		}

		// 5. The next leader has no link from its first moment on: it does not give back what it got at once, but in the end.
		b.cut.Store(true)
		alone(false)
		second.cancel()
		<-second.ended
		third := runAt(t, r, "third", b)
		third.until(t)
		fourth := runAt(t, r, "fourth", a)
		stays("it never had a link", third, handOverAgain-10*time.Second)
		began = time.Now()
		if err := <-third.ended; !errors.Is(err, ErrHandedOver) {
			t.Errorf("got %v, want %v", err, ErrHandedOver)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it handed over %v later, want it within seconds", took)
		}
		fourth.until(t)
		fourth.cancel()
		<-fourth.ended
	})
}
