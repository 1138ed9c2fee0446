package component

import (
	"context"
	"sync"
	"tlim/store"
)

// recordingStore notes what is written, and fails when told to.
type recordingStore struct {
	*store.Store
	mu        sync.Mutex
	changes   []store.Change
	batches   int // with changes
	fail      error
	guilty    func(store.Change) error
	commit    func(commit func() error) error // instead of the plain commit of a batch with changes
	committed func() error                    // before Committed answers
	applied   func([]store.Change)            // after a commit
	users     func([]string) error            // before UsersByJID answers
	updating  func([]store.PushUpdate) error  // before UpdatePushes writes
	deleting  func() error                    // before DeleteOffline writes
	messages  func() error                    // before MessagesAfter answers
	recent    func()                          // before RecentOffline answers
	counted   func()                          // after UnreadCounts has read
}

func (r *recordingStore) MessagesAfter(ctx context.Context, after, id string, limit int) ([]store.Message, error) {
	r.mu.Lock()
	ask := r.messages
	r.mu.Unlock()
	if ask != nil {
		if err := ask(); err != nil {
			return nil, err
		}
	}
	return r.Store.MessagesAfter(ctx, after, id, limit)
}

func (r *recordingStore) RecentOffline(ctx context.Context, owner string, since int64, limit int) ([]store.OfflineMessage, error) {
	r.mu.Lock()
	if r.recent != nil {
		r.recent()
	}
	r.mu.Unlock()
	return r.Store.RecentOffline(ctx, owner, since, limit)
}

func (r *recordingStore) UnreadCounts(ctx context.Context, owner string) ([]store.Unread, error) {
	list, err := r.Store.UnreadCounts(ctx, owner)
	r.mu.Lock()
	counted := r.counted
	r.mu.Unlock()
	if counted != nil {
		counted()
	}
	return list, err
}

func (r *recordingStore) DeleteOffline(ctx context.Context, epoch int64, rows []store.Old) error {
	r.mu.Lock()
	ask := r.deleting
	r.mu.Unlock()
	if ask != nil {
		if err := ask(); err != nil {
			return err
		}
	}
	return r.Store.DeleteOffline(ctx, epoch, rows)
}

func (r *recordingStore) UsersByJID(ctx context.Context, jids []string) (map[string]store.User, error) {
	r.mu.Lock()
	ask := r.users
	r.mu.Unlock()
	if ask != nil {
		if err := ask(jids); err != nil {
			return nil, err
		}
	}
	return r.Store.UsersByJID(ctx, jids)
}

func (r *recordingStore) UpdatePushes(ctx context.Context, epoch int64, steps []store.PushUpdate) error {
	r.mu.Lock()
	ask := r.updating
	r.mu.Unlock()
	if ask != nil {
		if err := ask(steps); err != nil {
			return err
		}
	}
	return r.Store.UpdatePushes(ctx, epoch, steps)
}

func (r *recordingStore) Apply(ctx context.Context, epoch int64, pos store.Positions, changes []store.Change) error {
	r.mu.Lock()
	fail, guilty, around := r.fail, r.guilty, r.commit
	r.mu.Unlock()
	if fail != nil {
		return fail
	}
	for _, c := range changes {
		if guilty != nil {
			if err := guilty(c); err != nil {
				return err
			}
		}
	}
	commit := func() error {
		err := r.Store.Apply(ctx, epoch, pos, changes)
		if err == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.changes = append(r.changes, changes...)
			if r.applied != nil {
				r.applied(changes)
			}
			if len(changes) > 0 {
				r.batches++
			}
		}
		return err
	}
	if around != nil && len(changes) > 0 {
		return around(commit)
	}
	return commit()
}

func (r *recordingStore) Committed(ctx context.Context, u *store.UnknownError) (bool, error) {
	r.mu.Lock()
	ask := r.committed
	r.mu.Unlock()
	if ask != nil {
		if err := ask(); err != nil {
			return false, err
		}
	}
	return r.Store.Committed(ctx, u)
}

// set changes what the store does.
func (r *recordingStore) set(change func(*recordingStore)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func (r *recordingStore) breakWith(err error) { r.set(func(r *recordingStore) { r.fail = err }) }

func (r *recordingStore) failWhen(guilty func(store.Change) error) {
	r.set(func(r *recordingStore) { r.guilty = guilty })
}

func (r *recordingStore) take() []store.Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.changes
	r.changes = nil
	return c
}
