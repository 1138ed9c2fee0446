package directory

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tlim/component/protocol"
)

// Push codes go both ways: the source's come here, and what is registered here goes to the source first.
func TestPushCodesOfASource(t *testing.T) {
	h := startSourced(t, nil, "a/ca", "b", "c/ca")
	h.holds("a device has one user", "a=a/ca b=b c=c")
	h.from.have("a", "b/cb", "c/ca")
	h.polled()
	h.holds("they follow the source", "a=a b=b/cb c=c/ca")
	h.wrote("they follow the source", "push a , push b cb, push c ca")
	h.polled()
	h.wrote("no difference", "")

	check(t, h.register("A", "ca")) // c's device
	check(t, h.register("b", ""))
	if want := []string{"a=ca", "b="}; !slices.Equal(h.from.calledOver, want) {
		t.Errorf("handed to the source: %q, want %q", h.from.calledOver, want)
	}
	h.holds("registered", "a=a/ca b=b c=c")
	h.written()
	h.polled()
	h.wrote("the source agrees", "")

	h.from.set(func(f *testSource) { f.failPush = errors.New("read only") })
	if err := h.register("a", "other"); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("a source that cannot be written: got %v, want %v", err, protocol.ErrUnavailable)
	}
	h.holds("all or none", "a=a/ca b=b c=c")
	if h.log.Count("a push code could not be written back") != 1 {
		t.Errorf("the log: got %s, want one such line", h.log)
	}
}

// A poll that began before a registration does not put the old code back, neither to its user nor to whose device it was.
func TestRegistrationDuringAPoll(t *testing.T) {
	h := startSourced(t, nil, "a/ca", "b/cb", "z")
	h.from.set(func(f *testSource) {
		f.during = func() { // a and b were read
			f.set(func(f *testSource) { f.during = nil })
			check(t, h.register("a", "cb"))
		}
	})
	h.from.have("a/changed", "b/cb", "z=Z")
	h.polled()
	h.holds("during", "a=a/cb b=b z=Z")
	h.polled()
	h.holds("after", "a=a/cb b=b z=Z")
}

// Nor does it give a device that has just been registered to whom it belonged in the source before.
func TestDeviceRegisteredDuringAPoll(t *testing.T) {
	h := startSourced(t, nil, "a", "b", "z")
	h.from.set(func(f *testSource) {
		f.during = func() { // b was read
			f.set(func(f *testSource) { f.during = nil })
			check(t, h.register("a", "new"))
		}
	})
	h.from.have("a", "b/new", "z")
	h.polled()
	h.holds("during", "a=a/new b=b z=z")
	h.polled()
	h.holds("after", "a=a/new b=b z=z")
}

// A registration that the vendor calls dead leaves the source too, which would bring it back.
func TestDeadRegistrationOfASource(t *testing.T) {
	h := startSourced(t, nil, "a/ca", "b/cb")
	check(t, h.DropPush(t.Context(), []string{"ca"}))
	check(t, h.db.DeletePushCodes(t.Context(), []string{"ca"}))
	h.Drop("a")
	h.polled()
	h.holds("dropped", "a=a b=b/cb")
	if got := strings.Join(h.from.calledOver, ", "); got != "dead ca" {
		t.Errorf(`the source was told %q, want "dead ca"`, got)
	}
}

// A source without push codes leaves those of the directory alone.
func TestSourceWithoutPushCodes(t *testing.T) {
	h := startSourced(t, nil, "a", "b")
	h.from.set(func(f *testSource) { f.keepsNone = true })
	check(t, h.register("a", "ca"))
	h.polled()
	h.holds("kept here", "a=a/ca b=b")
	if len(h.from.calledOver) > 0 {
		t.Errorf("the source was told %q, want none", h.from.calledOver)
	}
}
