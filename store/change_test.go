package store

import (
	"reflect"
	"testing"
)

// TestEveryFieldOfAChangeHasAStep sets each field of a Change alone: exactly one step takes it, from two changes twice.
func TestEveryFieldOfAChangeHasAStep(t *testing.T) {
	of := reflect.TypeFor[Change]()
	for i := range of.NumField() {
		t.Run(of.Field(i).Name, func(t *testing.T) {
			var c Change
			switch f := reflect.ValueOf(&c).Elem().Field(i); f.Kind() {
			case reflect.Slice:
				f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			case reflect.Pointer:
				f.Set(reflect.New(f.Type().Elem()))
			case reflect.String:
				f.SetString("x")
			default:
				t.Fatalf("got a field of kind %s, want this test to set it: write a case", f.Kind())
			}
			taken := 0
			for _, s := range changeSteps {
				var all merged
				s.merge(&all, &c)
				s.merge(&all, &c)
				switch got := entries(reflect.ValueOf(all)); got {
				case 0:
				case 2:
					taken++
				default:
					t.Errorf("a step makes %d entries of two, want 2", got)
				}
			}
			if taken != 1 {
				t.Errorf("%d steps take the field, want 1", taken)
			}
		})
	}
}

// entries counts what the lists of a value hold, those of embedded values included.
func entries(v reflect.Value) int {
	n := 0
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Slice:
			n += f.Len()
		case reflect.Struct:
			n += entries(f)
		}
	}
	return n
}

// TestMergeLeavesTheChangesAlone merges changes whose lists have room at their end.
func TestMergeLeavesTheChangesAlone(t *testing.T) {
	room := make([]string, 1, 4)
	room[0] = "first"
	merge([]Change{{DropUsers: room}, {DropUsers: []string{"second"}}})
	if got := room[:2][1]; got != "" {
		t.Errorf("the list of the first change holds %q behind its end, want nothing", got)
	}
}
