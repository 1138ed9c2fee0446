package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tlim/scripts/lab"
	"tlim/store"
)

// BenchmarkQueueRows is the offline rows of 64 messages for 1,000 absent members each, 1,000 of them in a transaction: message after
// message, or owner after owner. The rows of one owner lie together in the index that getOffline reads.
func BenchmarkQueueRows(b *testing.B) {
	for _, e := range engines {
		for _, order := range []string{"messages", "owners"} {
			b.Run(e.name+"/"+order, func(b *testing.B) {
				s, epoch := owned(b, e.fresh(b))
				const messages, owners, slice = 64, 1000, 1000
				body := `[{"text":"` + strings.Repeat("x", 60) + `"}]`
				rows, cpu := 0, cpuTime(b)
				for n := 0; b.Loop(); n++ {
					list := make([]store.OfflineMessage, messages*owners)
					for i := range messages {
						m := store.Message{MsgID: uuid.NewString(), Type: "MTS-000", From: "user0001", To: "group", Time: clock(n*messages + i), Body: body, SessionID: "group"}
						for k := range owners {
							at := i*owners + k
							if order == "owners" {
								at = k*messages + i
							}
							list[at] = store.OfflineMessage{Message: m, Owner: fmt.Sprintf("user%04d", k*7919%owners)}
						}
					}
					for at := 0; at < len(list); at += slice {
						part := list[at:min(len(list), at+slice)]
						for i := range part {
							part[i].ID = uuid.Must(uuid.NewV7()).String()
						}
						if err := s.Apply(context.Background(), epoch, store.Positions{}, []store.Change{{Offline: part}}); err != nil {
							b.Fatal(err)
						}
					}
					rows += len(list)
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(rows), "us/row")
				b.ReportMetric((cpuTime(b)-cpu).Seconds()*1e6/float64(rows), "cpu-us/row")
			})
		}
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	return must[time.Duration](b)(lab.CPUTime())
}
