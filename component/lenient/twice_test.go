package lenient

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestTwice(t *testing.T) {
	many := ""
	for i := range 100 {
		many += fmt.Sprintf(`"k%d":{"k1":1,"k2":2},`, i)
	}
	for in, want := range map[string]string{
		`{}`: "", `{"a":1,"b":1}`: "", `[1,1]`: "", `"a"`: "", `{"a":1,"A":1}`: "", "{" + strings.TrimSuffix(many, ",") + "}": "",
		`{"a":1,"b":2,"a":3}`: "a", `{"a":1,"\u0061":3}`: "a", "{" + many + `"k3":0}`: "k3", "{" + many + `"k77":0}`: "k77", "{" + many + `"new":0,"new":1}`: "new", `{"":1,"":2}`: "",
	} {
		t.Run(fmt.Sprintf("%.40s of %d bytes, %s", in, len(in), want), func(t *testing.T) {
			if key, twice := Twice(gjson.Parse(in)); twice != (want != "" || in == `{"":1,"":2}`) || twice && key != want {
				t.Errorf("%.60s: got %q, %v, want %q, a name that comes twice if there is one", in, key, twice, want)
			}
		})
	}
}
