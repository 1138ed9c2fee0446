package standby

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
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

// A standby whom the database does not let see the leader, or lead, says so, and only while it is so.
func TestHindered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rows{}
		first := run(t, r, "first")
		first.until(t)
		second := run(t, r, "second")
		says := func(when, want string) {
			t.Helper()
			if got := second.Hindered(); got != want && (want == "" || !strings.Contains(got, want)) {
				t.Errorf("%s: got %q, want %q", when, got, want)
			}
		}
		time.Sleep(time.Minute)
		says("all is well", "")
		r.set(func() { r.late = askTime / 2 })
		time.Sleep(time.Minute)
		says("each answer comes in time", "")
		r.set(func() { r.late = 2 * askTime })
		time.Sleep(time.Minute)
		says("no answer comes in time", "the leader cannot be looked at")
		r.set(func() { r.late = 0 })
		time.Sleep(2 * askTime)
		says("the answers come again", "")
		r.set(func() { r.late = 2 * askTime })
		first.cancel()
		<-first.ended
		time.Sleep(time.Minute)
		says("the leader died meanwhile", "the leader cannot be looked at")
		r.set(func() { r.late, r.refuses = 0, true })
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(lookPeriod / 2) {
			if second.Hindered() == "" && time.Until(end) < time.Minute-silence-askTime {
				t.Fatal("got nothing while it cannot take over, want it said all the time")
			}
		}
		says("nobody may take over", "the database cannot be taken over")
		r.set(func() { r.refuses = false })
		second.until(t)
		says("it leads", "")
		second.cancel()
		<-second.ended
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

// The leader looks at each that stands by, until there is nothing to be said of it, and tells of each once, however many share the row.
func TestSees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rows{}
		leader := roleOn(r, "leader")
		ctx, cancel := context.WithCancel(t.Context())
		var log strings.Builder
		leader.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		asked := map[string]int{}
		leader.cfg.Sees = func(_ context.Context, other store.Leader) error {
			if asked[other.Process]++; other.Process == "second" && asked["second"] < 4 {
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
		third := run(t, r, "third")
		for i := range 60 { // and sees them in turns
			time.Sleep(time.Second)
			r.set(func() { r.standby.Process = []string{"second", "third"}[i%2] })
		}
		for _, one := range []*running{second, third} {
			one.cancel()
			<-one.ended
		}
		cancel()
		both.Wait()
		if n := strings.Count(log.String(), "what second writes cannot be read"); asked["second"] != 4 || asked["third"] != 1 || n != 1 {
			t.Errorf("asked %v times, and got %d lines, want 4 and 1, and 1:\n%s", asked, n, &log)
		}
		if n := strings.Count(log.String(), "another process stands by"); n != 2 {
			t.Errorf("it tells %d times that another process stands by, want 2, one of each:\n%s", n, &log)
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

// Where nobody is seen to lead the database, and another connection has the component's name, this process waits: in words, and not for ever.
func TestTaken(t *testing.T) {
	taken := errors.New("another connection has this name")
	watched := func(t *testing.T, r *rows, is bool) (*running, *atomic.Bool, *atomic.Int64) {
		var held atomic.Bool
		var asked atomic.Int64
		held.Store(is)
		role := roleOn(r, "other")
		role.cfg.Taken = func(context.Context) error {
			asked.Add(1)
			if held.Load() {
				return taken
			}
			return nil
		}
		return runRole(t, role), &held, &asked
	}
	ended := store.Leader{Process: "before", Epoch: 3, Released: true}
	dead := store.Leader{Process: "before", Epoch: 3, Beat: 17}
	for _, c := range []struct {
		name    string
		state   store.State
		leader  store.Leader
		refused time.Duration
	}{
		{"a database that nobody ever led", store.State{}, store.Leader{}, takenNew},
		{"one whose leader ended in order", store.State{Epoch: 3}, ended, takenLong},
		{"one whose leader is silent, as on a copy", store.State{Epoch: 3}, dead, silence + takenLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				r, _, asked := watched(t, &rows{state: c.state, leader: c.leader}, true)
				time.Sleep(c.refused - takenPeriod)
				if r.Leading() || r.Taken() != taken.Error() {
					t.Errorf("leads: %v, says %q, want it to wait, and to say %q", r.Leading(), r.Taken(), taken)
				}
				var refused *RefusedError
				if err := <-r.ended; !errors.As(err, &refused) || refused.Text != taken.Error() {
					t.Errorf("got %v, want it refused: %v", err, taken)
				}
				if took, most := time.Since(began), c.refused+2*takenPeriod; took < c.refused || took > most {
					t.Errorf("it was refused after %v, want %v to %v", took, c.refused, most)
				}
				if n, most := asked.Load(), int64(c.refused/takenPeriod)+2; n > most {
					t.Errorf("the server was asked %d times, want at most %d", n, most)
				}
			})
		})
		t.Run(c.name+", and the name gets free", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, held, _ := watched(t, &rows{state: c.state, leader: c.leader}, true)
				time.Sleep(c.refused - 2*takenPeriod)
				held.Store(false)
				if took := r.until(t); took > takenPeriod+lookPeriod {
					t.Errorf("it leads after %v, want within %v", took, takenPeriod+lookPeriod)
				}
				if r.Taken() != "" {
					t.Errorf("it says %q, want nothing of a name that is its own", r.Taken())
				}
				r.cancel()
				<-r.ended
			})
		})
	}
	for _, c := range []struct {
		name  string
		state store.State
		led   bool
		most  time.Duration
	}{
		{"after a leader that was seen", store.State{}, true, silence + beatPeriod},
		{"after a version that tells nothing of itself", store.State{Epoch: 7}, false, silence + beatPeriod},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rows := &rows{state: c.state}
				if c.led {
					first := run(t, rows, "first")
					first.until(t)
					r, _, asked := watched(t, rows, true)
					time.Sleep(time.Minute)
					first.cancel()
					<-first.ended
					leads(t, r, asked, c.most)
					return
				}
				r, _, asked := watched(t, rows, true)
				leads(t, r, asked, c.most)
			})
		})
	}
}

// leads wants a role to take over although the name is taken.
func leads(t *testing.T, r *running, asked *atomic.Int64, within time.Duration) {
	t.Helper()
	if took := r.until(t); took > within || asked.Load() != 0 {
		t.Errorf("it leads after %v, the server was asked %d times, want within %v, and not asked: it may be that leader's", took, asked.Load(), within)
	}
	r.cancel()
	<-r.ended
}
