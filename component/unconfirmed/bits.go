package unconfirmed

import "math/bits"

// bitSet is a set of small numbers.
type bitSet []uint64

func newBitSet(n int) bitSet { return make(bitSet, (n+63)/64) }

func (b bitSet) has(i int) bool { return b[i/64]>>(i%64)&1 != 0 }
func (b bitSet) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitSet) clear(i int)    { b[i/64] &^= 1 << (i % 64) }

func (b bitSet) count() (n int) {
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}

// first is the smallest that is in it; it must not be empty.
func (b bitSet) first() int {
	for w, word := range b {
		if word != 0 {
			return 64*w + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// each visits those that are in it, in their order.
func (b bitSet) each(visit func(i int)) {
	for w, word := range b {
		for ; word != 0; word &= word - 1 {
			visit(64*w + bits.TrailingZeros64(word))
		}
	}
}
