package httpapi

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/time/rate"

	"tlim/component/protocol"
	"tlim/store/private"
)

// Robot is as whom a key sends chat messages.
type Robot = protocol.Robot

// Key is a credential of an integrator.
type Key struct {
	Name   string         // for logs and metrics; unique
	Key    string         // the secret
	Scopes []string       // business, admin
	Rate   float64        // calls per second, with a burst of one second's worth; 0 is no limit
	Robot  protocol.Robot // as whom it speaks; without an ID as nobody
}

// minKey is the length below which a key is worth a warning: 16 characters of hex are 64 bits.
const minKey = 16

// keyring is what is compared against: digests, so that neither length nor content of a key shows in the time taken.
type keyring []ringKey

type ringKey struct {
	name    string
	digest  [sha256.Size]byte
	scopes  scope
	rate    float64
	robot   protocol.Robot // without an ID: it speaks as nobody
	limiter *rate.Limiter  // nil is no limit
}

// newKeyring checks keys. A limiter of old whose key kept its name and rate stays: reading the keys again is no way
// around a limit.
func newKeyring(keys []Key, old keyring, log *slog.Logger) (keyring, error) {
	var errs []error
	ring := make(keyring, 0, len(keys))
	names, digests := map[string]bool{}, map[[sha256.Size]byte]bool{}
	for i, k := range keys {
		where := fmt.Sprintf("http.keys[%d] (%s)", i, k.Name)
		r := ringKey{name: k.Name, digest: sha256.Sum256([]byte(k.Key)), rate: k.Rate, robot: k.Robot}
		for _, s := range k.Scopes {
			if one, ok := scopeNames[s]; ok {
				r.scopes |= one
			} else {
				errs = append(errs, fmt.Errorf("%s: unknown scope %q, there are business and admin", where, s))
			}
		}
		switch {
		case k.Name == "" || ReservedName(k.Name):
			errs = append(errs, fmt.Errorf("%s: a key needs a name, other than %q and %q", where, anonymousName, tokenName))
		case k.Key == "":
			errs = append(errs, fmt.Errorf("%s: the key is empty", where))
		case len(k.Scopes) == 0:
			errs = append(errs, fmt.Errorf("%s: no scopes, there are business and admin", where))
		case names[k.Name]:
			errs = append(errs, fmt.Errorf("%s: a name that is used twice", where))
		case digests[r.digest]:
			errs = append(errs, fmt.Errorf("%s: a key that is used twice", where))
		case k.Rate < 0 || math.IsNaN(k.Rate) || math.IsInf(k.Rate, 0):
			errs = append(errs, fmt.Errorf("%s: rate %v is not a number of calls per second", where, k.Rate))
		}
		if k.Robot != (protocol.Robot{}) {
			if err := k.Robot.Check(); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", where, err))
			} else if other, ok := ring.declares(k.Robot); !ok {
				errs = append(errs, fmt.Errorf("%s: the robot %s is declared otherwise by the key %s: two keys may share one if both have the same id and name", where, k.Robot.ID, other))
			}
		}
		names[k.Name], digests[r.digest] = true, true
		if len(k.Key) < minKey {
			log.Warn("an HTTP key is short enough to be guessed", "key", k.Name, "characters", len(k.Key), "at_least", minKey)
		}
		r.limit(old)
		ring = append(ring, r)
	}
	return ring, errors.Join(errs...)
}

// declares says whether a robot may be declared so: not when a key has declared it otherwise, which is named.
func (k keyring) declares(r protocol.Robot) (other string, ok bool) {
	for _, key := range k {
		if same, it := key.robot.Same(r); it && !same {
			return key.name, false
		}
	}
	return "", true
}

// robots are those that keys speak as, each once.
func (k keyring) robots() (list []protocol.Robot) {
	for _, key := range k {
		if key.robot.ID != "" && !slices.ContainsFunc(list, func(r protocol.Robot) bool { return r.ID == key.robot.ID }) {
			list = append(list, key.robot)
		}
	}
	return list
}

// limit makes the key's limiter, or keeps that of old whose key has its name and rate.
func (r *ringKey) limit(old keyring) {
	if r.rate <= 0 {
		return
	}
	r.limiter = rate.NewLimiter(rate.Limit(r.rate), max(1, int(math.Ceil(r.rate))))
	for _, o := range old {
		if o.name == r.name && o.rate == r.rate {
			r.limiter = o.limiter
		}
	}
}

// find compares with every key, always, so that the time taken says nothing.
func (k keyring) find(secret string) (ringKey, bool) {
	digest := sha256.Sum256([]byte(secret))
	var hit ringKey
	found := false
	for _, key := range k {
		if subtle.ConstantTimeCompare(digest[:], key.digest[:]) == 1 {
			hit, found = key, true
		}
	}
	return hit, found
}

// FileKeyName is the name of the key in http.key_file.
const FileKeyName = "admin"

// fileKeys reads the admin key of path, or makes it. The key itself is never logged.
func fileKeys(path string, log *slog.Logger) ([]Key, error) {
	secret, err := readKey(path, log)
	if errors.Is(err, fs.ErrNotExist) {
		secret, err = makeKey(path, log)
	}
	if err != nil {
		return nil, fmt.Errorf("http.key_file: %w", err)
	}
	return []Key{{Name: FileKeyName, Key: secret, Scopes: []string{"admin"}}}, nil
}

// freshSecret is a secret that nobody guesses.
func freshSecret() string { return rand.Text() }

func readKey(path string, log *slog.Logger) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(strings.TrimPrefix(string(content), "\ufeff")) // editors put a byte order mark in front
	if secret == "" {
		return "", fmt.Errorf("%s is empty; remove it and a new key is made", path)
	}
	if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s holds something else than one line of ASCII without blanks: save it as UTF-8, or remove it and a new key is made", path)
	}
	if who, err := private.Readers(path); err == nil && who != "" {
		log.Warn("others than the owner can read the HTTP admin key", "file", path, "who", who, "remedy", private.Remedy(path))
	}
	return secret, nil
}

// makeKey writes a new key so that the file is there whole or not at all, and so that of two first starts at once both
// end up with the same key.
func makeKey(path string, log *slog.Logger) (string, error) {
	secret := freshSecret()
	temp := path + ".new-" + hex.EncodeToString([]byte(rand.Text()[:6]))
	f, err := private.Create(temp)
	if err != nil {
		return "", err
	}
	defer os.Remove(temp)
	_, err = f.WriteString(secret + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	switch err := os.Link(temp, path); {
	case errors.Is(err, fs.ErrExist):
		return readKey(path, log)
	case err != nil: // a file system without hard links
		if err := os.Rename(temp, path); err != nil {
			return "", err
		}
	}
	shown := path
	if abs, err := filepath.Abs(path); err == nil {
		shown = abs
	}
	log.Info("made an HTTP admin key", "file", shown)
	return secret, nil
}
