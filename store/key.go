package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

const (
	keyColumns = `name, digest, scopes, rate, made, made_by, ended, ended_by, robot_id, robot_name`

	keysAll  = `SELECT ` + keyColumns + ` FROM tlim_key ORDER BY made, name`
	keyByOne = `SELECT ` + keyColumns + ` FROM tlim_key WHERE name == ?`
	keyEnd   = `UPDATE tlim_key SET ended = ?, ended_by = ? WHERE name == ? AND ended IS NULL`
)

// Key is a row of tlim_key: a credential of the HTTP API that was made while it ran. The secret itself is kept nowhere.
type Key struct {
	Name    string // no other row has it, not even one that has ended: the audit log names keys by it
	Digest  string // SHA-256 of the secret, in hex
	Scopes  []string
	Rate    float64 // calls a second; 0 is no limit
	Made    int64   // epoch milliseconds
	MadeBy  string
	Ended   int64 // 0: it holds
	EndedBy string

	RobotID, RobotName string // as whom it speaks; "" as nobody
}

// Keys reads all keys, those that have ended too, oldest first.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	found := []Key{}
	err := s.all(ctx, keysAll, nil, func(scan scanner) error {
		k, err := scanKey(scan)
		found = append(found, k)
		return err
	})
	return found, err
}

func scanKey(scan scanner) (k Key, err error) {
	var scopes, rate text
	if err = scan((*text)(&k.Name), (*text)(&k.Digest), &scopes, &rate, (*number)(&k.Made), (*text)(&k.MadeBy), (*number)(&k.Ended), (*text)(&k.EndedBy), (*text)(&k.RobotID), (*text)(&k.RobotName)); err != nil {
		return k, err
	}
	k.Scopes = strings.Fields(string(scopes))
	if rate != "" {
		if k.Rate, err = strconv.ParseFloat(string(rate), 64); err != nil {
			err = fmt.Errorf("rate of key %s: %w", k.Name, err)
		}
	}
	return k, err
}

// AddKey makes a key, in one transaction with what the audit log says of it. ErrDuplicate: there is or was one of this name.
func (s *Store) AddKey(ctx context.Context, k Key, e AuditEvent) error {
	err := s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		rate := ""
		if k.Rate != 0 {
			rate = strconv.FormatFloat(k.Rate, 'f', -1, 64)
		}
		r := t.s.rowsOf(tKey, 1)
		r.add(k.Name, k.Digest, strings.Join(k.Scopes, " "), rate, millis(k.Made), k.MadeBy, nil, "", k.RobotID, k.RobotName)
		if err := t.insert(ctx, r); err != nil {
			return err
		}
		return t.addAudit(ctx, e)
	})
	if err != nil {
		return fmt.Errorf("add key %s: %w", k.Name, err)
	}
	return nil
}

// EndKey ends a key, in one transaction with what the audit log says of it, and returns it as it is then. One that has ended
// already stays as it was, and nothing is written. found is false when there is none of this name.
func (s *Store) EndKey(ctx context.Context, name string, e AuditEvent) (k Key, found bool, err error) {
	err = s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		found = false
		by, err := t.decoration(ctx, tKey, "ended_by", e.Who)
		if err != nil {
			return err
		}
		n, err := t.do(ctx, keyEnd, millis(e.Time), by, name)
		if err != nil {
			return err
		}
		err = t.query(ctx, statement{keyByOne, 0}, func() string { return keyByOne }, []any{name}, func(scan scanner) (err error) {
			found = true
			k, err = scanKey(scan)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
		return t.addAudit(ctx, e)
	})
	if err != nil {
		return Key{}, false, fmt.Errorf("end key %s: %w", name, err)
	}
	return k, found, nil
}
