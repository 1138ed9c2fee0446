package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"tlim/component/logged"
	"tlim/component/pause"
	"tlim/component/protocol"
	"tlim/store"
)

// keys are the credentials in force: those of the configuration, and those that were made while tlim ran.
type keys struct {
	mu         sync.Mutex
	configured []Key
	where      []string    // each of them stands
	stored     []store.Key // all of the database, those that have ended too
	ring       atomic.Pointer[keyring]
	kept       atomic.Pointer[[]protocol.Robot] // those that the directory holds
}

// find says whose a secret is.
func (k *keys) find(secret string) (ringKey, bool) { return k.ring.Load().find(secret) }

// rebuild puts what is there into force. On an error the old ring stays. The caller holds mu.
func (k *keys) rebuild(log *slog.Logger) error {
	var old keyring
	if p := k.ring.Load(); p != nil {
		old = *p
	}
	ring, err := newKeyring(k.configured, old, log)
	if err != nil {
		return err
	}
	for _, one := range k.stored {
		r, holds := k.storedKey(one, old, log)
		if !holds {
			continue
		}
		if other, ok := ring.declares(r.robot); !ok {
			log.Warn("a key of the database speaks as no robot, because another key declares that one otherwise", "key", one.Name, "robot", r.robot.ID, "other", other)
			r.robot = protocol.Robot{}
		}
		ring = append(ring, r)
	}
	k.ring.Store(&ring)
	return nil
}

// names says whether a key of the configuration has a name, and where it stands.
func (k *keys) names(name string) (where string, ok bool) {
	for i, one := range k.configured {
		if one.Name == name {
			return k.where[i], true
		}
	}
	return "", false
}

// storedKey is a key of the database as calls are held against it. One whose name the configuration has taken since does not hold:
// calls are told apart by it.
func (k *keys) storedKey(one store.Key, old keyring, log *slog.Logger) (r ringKey, holds bool) {
	if one.Ended != 0 {
		return r, false
	}
	if where, ok := k.names(one.Name); ok {
		log.Warn("a key of the database does not hold, because the configuration has one of its name", "key", one.Name, "configuration", where)
		return r, false
	}
	digest, err := hex.DecodeString(one.Digest)
	if err != nil || len(digest) != sha256.Size {
		log.Error("a key of the database does not hold, because its digest is none", "key", one.Name)
		return r, false
	}
	r = ringKey{name: one.Name, digest: [sha256.Size]byte(digest), rate: one.Rate, robot: protocol.Robot{ID: one.RobotID, Name: one.RobotName}}
	for _, s := range one.Scopes {
		r.scopes |= scopeNames[s]
	}
	r.limit(old)
	return r, true
}

// ReloadKeys takes new keys of the configuration into use; none means those of the key file. On an error the old ones stay.
func (a *API) ReloadKeys(list []Key) error {
	where := make([]string, len(list))
	for i := range list {
		where[i] = fmt.Sprintf("http.keys[%d]", i)
	}
	if len(list) == 0 {
		if a.cfg.KeyFile == "" {
			return fmt.Errorf("http.keys and http.key_file are both empty: nobody could call")
		}
		var err error
		if list, err = fileKeys(a.cfg.KeyFile, a.log); err != nil {
			return err
		}
		where = []string{a.cfg.KeyFile}
	}
	k := &a.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	before, stood := k.configured, k.where
	k.configured, k.where = list, where
	if err := k.rebuild(a.log); err != nil {
		k.configured, k.where = before, stood
		return err
	}
	return nil
}

// LoadKeys takes the keys of the database into use, as they are there now.
func (a *API) LoadKeys(ctx context.Context) error {
	k := &a.keys
	k.mu.Lock() // while it reads, too: what is read may not overtake what a call changes
	defer k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, keyTime)
	defer cancel()
	stored, err := a.admin.Keys(ctx)
	if err != nil || reflect.DeepEqual(stored, k.stored) {
		return err
	}
	k.stored = stored
	return k.rebuild(a.log)
}

// robotTime bounds a round of [API.keepRobots]: the server may be asked about each new one.
const robotTime = 30 * time.Second

// keepRobots has the directory hold the robots as whom keys speak, and nobody else as one, if that is not known to be so already.
func (a *API) keepRobots(ctx context.Context) error {
	declared := a.keys.ring.Load().robots()
	if a.keys.kept.Load() != nil && slices.Equal(*a.keys.kept.Load(), declared) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, robotTime)
	defer cancel()
	err := a.svc.KeepRobots(ctx, declared)
	if err == nil {
		a.keys.kept.Store(&declared)
	}
	return err
}

const (
	keyPeriod = 3 * time.Second // between two looks for what a command or another process has made or ended
	keyTime   = 5 * time.Second
)

// WatchKeys looks at the keys of the database every few seconds, until ctx ends. While it is away the keys stay as they were.
func (a *API) WatchKeys(ctx context.Context) error {
	health := logged.Health{Failing: "the keys of the database cannot be read; those that were read before hold", Again: "the keys of the database are read again"}
	robots := logged.Health{Failing: "a robot as whom a key is to speak is not as it is declared; it is tried again", Again: "all robots are as they are declared"}
	for {
		if err := a.keepRobots(ctx); ctx.Err() == nil {
			robots.Note(a.log, err)
		}
		if pause.For(ctx, keyPeriod) != nil {
			return nil
		}
		if err := a.LoadKeys(ctx); ctx.Err() == nil {
			health.Note(a.log, err)
		}
	}
}

// MaxKeyName is how many characters the name of a key that is made has at most.
const MaxKeyName = maxID

// GoodKeyName says whether a new key may have that name, which stands in logs, metrics and the audit log: whoever reads them has to
// tell it from others.
func GoodKeyName(name string) bool {
	return name != "" && !ReservedName(name) && len([]rune(name)) <= MaxKeyName &&
		!slices.ContainsFunc([]rune(name), func(r rune) bool {
			return !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
		})
}

// ScopeNames are the scopes that a key can have.
func ScopeNames() []string { return []string{"admin", "business"} }

// NewKey makes a key of this name and its secret, which is told once and kept nowhere.
func NewKey(name string, scopes []string, rate float64, robot protocol.Robot, by string, now time.Time) (k store.Key, secret string) {
	secret = freshSecret()
	digest := sha256.Sum256([]byte(secret))
	return store.Key{Name: name, Digest: hex.EncodeToString(digest[:]), Scopes: scopes, Rate: rate, Made: now.UnixMilli(), MadeBy: by, RobotID: robot.ID, RobotName: robot.Name}, secret
}

// KeyEvent is what the audit log says of a key that is made.
func KeyEvent(e store.AuditEvent, k store.Key) store.AuditEvent {
	e.What, e.Target = "keys/new", k.Name
	e.Detail = fmt.Sprintf("scopes %v", k.Scopes)
	if k.Rate > 0 {
		e.Detail += fmt.Sprintf(", at most %v calls a second", k.Rate)
	}
	if k.RobotID != "" {
		e.Detail += fmt.Sprintf(", speaks as %s (%s)", k.RobotID, protocol.Robot{ID: k.RobotID, Name: k.RobotName}.Shown())
	}
	return e
}

// Event begins what the audit log says of a change that somebody makes.
func Event(what, who, address string, now time.Time) store.AuditEvent {
	return store.AuditEvent{ID: protocol.NewID(), Time: now.UnixMilli(), Who: who, Address: address, What: what, Outcome: store.AuditDone}
}
