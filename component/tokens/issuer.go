package tokens

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// Store keeps the key of the tokens and the generations of the users. *store.Store implements it.
type Store interface {
	Secret(ctx context.Context, name, fresh string) (string, error)
	TokenState(ctx context.Context, jid string) (store.TokenState, error)
}

// Issuer makes and checks the credentials by which a user's own clients call the HTTP API: the user's JID local part, when it
// ends, and the user's generation, under an HMAC-SHA-256 whose key lies in the database. Nothing is kept of a token. It is
// safe for concurrent use.
type Issuer struct {
	store Store
	life  time.Duration
	now   func() time.Time

	mu  sync.Mutex
	key []byte // nil until it was read
}

// New makes an Issuer whose tokens live for life. now nil is time.Now.
func New(s Store, life time.Duration, now func() time.Time) *Issuer {
	if now == nil {
		now = time.Now
	}
	return &Issuer{store: s, life: life, now: now}
}

// Prefix begins every token, so that it is told from a key at a glance.
const Prefix = "tlim-token."

// secretName names the key in tlim_secret; another layout of tokens gets another name.
const secretName = "token-1"

// Issue makes a token for the user with this prepared local part, whom the server has authenticated. Errors: error-011 for a robot, and for a
// user who left the directory, ErrUnavailable.
func (i *Issuer) Issue(ctx context.Context, local string) (token string, expires time.Time, err error) {
	key, err := i.secret(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	st, err := i.store.TokenState(ctx, local)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("%w: %w", protocol.ErrUnavailable, err)
	}
	if st.Left {
		return "", time.Time{}, protocol.Refuse(protocol.NotAllowed, "the user has left the directory")
	}
	if st.Robot {
		return "", time.Time{}, protocol.Refuse(protocol.NotAllowed, "the user id is a robot's, whose key speaks for it")
	}
	expires = i.now().Add(i.life).Truncate(time.Millisecond)
	signed := fmt.Sprintf("%s%s.%d.%d", Prefix, base64.RawURLEncoding.EncodeToString([]byte(local)), expires.UnixMilli(), st.Generation)
	return signed + "." + sign(key, signed), expires, nil
}

// User says whose token this is, by canonical id. Errors: error-011 for one that is not ours, has ended or was
// revoked; ErrUnavailable.
func (i *Issuer) User(ctx context.Context, token string) (string, error) {
	bad := protocol.Refuse(protocol.NotAllowed, "the token is not valid")
	if len(token) > maxToken {
		return "", bad
	}
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 || !strings.HasPrefix(token, Prefix) {
		return "", bad
	}
	key, err := i.secret(ctx)
	if err != nil {
		return "", err
	}
	signed := token[:cut]
	if !hmac.Equal([]byte(sign(key, signed)), []byte(token[cut+1:])) {
		return "", bad
	}
	// From here on it is what Issue wrote.
	parts := strings.Split(strings.TrimPrefix(signed, Prefix), ".")
	if len(parts) != 3 {
		return "", bad
	}
	raw, err1 := base64.RawURLEncoding.DecodeString(parts[0])
	ends, err2 := strconv.ParseInt(parts[1], 10, 64)
	generation, err3 := strconv.ParseInt(parts[2], 10, 64)
	local, err4 := stanza.Localpart(string(raw))
	switch {
	case errors.Join(err1, err2, err3, err4) != nil, local != string(raw):
		return "", bad
	case i.now().UnixMilli() >= ends:
		return "", protocol.Refuse(protocol.NotAllowed, "the token has ended, ask for a new one")
	}
	st, err := i.store.TokenState(ctx, local)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", protocol.ErrUnavailable, err)
	case st.Generation != generation || st.Left || st.Robot:
		return "", protocol.Refuse(protocol.NotAllowed, "the token was revoked, ask for a new one")
	}
	return cmp.Or(st.UserID, local), nil
}

// maxToken bounds what is hashed: a local part has at most 1023 bytes.
const maxToken = 2048

func sign(key []byte, signed string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(signed))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// secret reads the key, once; the first process of a site makes it.
func (i *Issuer) secret(ctx context.Context) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.key != nil {
		return i.key, nil
	}
	fresh := make([]byte, sha256.Size)
	rand.Read(fresh) // never fails
	text, err := i.store.Secret(ctx, secretName, hex.EncodeToString(fresh))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", protocol.ErrUnavailable, err)
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) < sha256.Size {
		return nil, fmt.Errorf("tlim_secret: %s is not the key of %d hex digits that was written there", secretName, 2*sha256.Size)
	}
	i.key = key
	return key, nil
}
