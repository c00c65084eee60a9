package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sluice/api"
	"sluice/api/apitest"
	"sluice/fsm"
)

// TestTokensAreShownOnce: the facts hold the hash of what the caller got, and
// who made it; nothing shows the secret again.
func TestTokensAreShownOnce(t *testing.T) {
	f := apitest.New(t)
	f.Do(&fsm.FeatureRaise{Level: fsm.FeatureLevel})
	_, c := f.Serve(nil)
	made, err := c.Admission().CreateToken(t.Context(), api.TokenRequest{Node: "n4", Datacenter: "east"})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(made.Secret))
	got := f.View().Tokens.For("n4")
	if len(made.Secret) != 26 || got == nil || got.Hash != hex.EncodeToString(sum[:]) || got.Datacenter != "east" || !strings.HasPrefix(got.By, "anonymous on ") {
		t.Fatalf("%+v, %+v", made, got)
	}
	if left := time.Until(made.Token.Expires); left > api.DefaultTokenTTL || left < api.DefaultTokenTTL-time.Minute {
		t.Errorf("it lasts for %v", left)
	}
	l, err := c.Admission().Tokens(t.Context())
	text, _ := json.Marshal(l)
	if err != nil || len(l.Items) != 1 || l.Items[0] != made.Token || strings.Contains(string(text), made.Secret) || strings.Contains(string(text), got.Hash) {
		t.Errorf("%s %v", text, err)
	}
	again, err := c.Admission().CreateToken(t.Context(), api.TokenRequest{Node: "n4"})
	if err != nil || again.Secret == made.Secret || len(f.View().Tokens) != 1 {
		t.Errorf("%+v %v, %+v", again, err, f.View().Tokens)
	}
	if _, err := c.Admission().RevokeToken(t.Context(), "n4"); err != nil || len(f.View().Tokens) != 0 {
		t.Errorf("%v, %+v", err, f.View().Tokens)
	}
	var told []string
	for _, e := range f.View().LinkEvents(0).All() {
		if e.Code == fsm.CodeOperatorAct && strings.HasPrefix(e.Who, "anonymous on ") && e.Client != "" {
			told = append(told, e.Message)
		}
	}
	want := "make a token for node n4 in the datacenter east, for 1h0m0s\nmake a token for node n4 in the datacenter (nothing), for 1h0m0s\nrevoke the token of node n4"
	if got := strings.Join(told, "\n"); got != want {
		t.Errorf("events:\n%s\nwant\n%s", got, want)
	}
}

// TestUnban lifts a ban, and says who is banned where there is none; bans are
// listed.
func TestUnban(t *testing.T) {
	f := apitest.New(t)
	for _, cmd := range []fsm.Command{
		&fsm.FeatureRaise{Level: fsm.FeatureLevel}, &fsm.NodePut{Node: fsm.Node{ID: "x", Name: "n9", Key: "k"}}, &fsm.NodeRemove{ID: "x", Ban: true, At: 5000},
	} {
		f.Do(cmd)
	}
	_, c := f.Serve(nil)
	if _, err := c.Admission().Unban(t.Context(), "n8"); err == nil || !strings.Contains(err.Error(), "those on n9 are all there are") {
		t.Error(err)
	}
	if l, err := c.Admission().Bans(t.Context()); err != nil || len(l.Items) != 1 || l.Items[0] != (api.Ban{Node: "n9", Key: "k", Since: time.UnixMilli(5000).UTC()}) {
		t.Errorf("%+v %v", l, err)
	}
	if a, err := c.Admission().Unban(t.Context(), "n9"); err != nil || a.State != "unbanned" || len(f.View().Bans) != 0 {
		t.Errorf("%+v %v", a, err)
	}
	if l, err := c.Admission().Bans(t.Context()); err != nil || l.Items == nil || len(l.Items) != 0 {
		t.Errorf("%+v %v", l, err)
	}
}
