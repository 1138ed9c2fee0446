package unconfirmed

// Later gathers the rows of one message that may follow it.
type Later struct {
	roster    *Roster
	left, web bitSet
}

// NewLater begins with none.
func NewLater(r *Roster) *Later { return &Later{roster: r, left: newBitSet(len(r.ids))} }

// Take notes that a member is to get a row. Who is none, and is told of a removal all the same, is not in the roster.
func (l *Later) Take(i int, id string, status int) bool {
	if l == nil || i >= len(l.roster.ids) || l.roster.ids[i] != id {
		return false
	}
	l.left.set(i)
	if status == 1 {
		if l.web == nil {
			l.web = newBitSet(len(l.roster.ids))
		}
		l.web.set(i)
	}
	return true
}

// Count is how many members are to get a row.
func (l *Later) Count() int { return l.left.count() }

// Each visits the members who are to get a row, in the order of the roster.
func (l *Later) Each(visit func(i, status int)) {
	l.left.each(func(i int) { visit(i, l.status(i)) })
}

// Pop takes the first of them away. There must be one.
func (l *Later) Pop() (i, status int) {
	i = l.left.first()
	l.left.clear(i)
	return i, l.status(i)
}

func (l *Later) status(i int) int {
	if l.web != nil && l.web.has(i) {
		return 1
	}
	return 0
}
