package fsm

import (
	"strings"
	"testing"
	"time"
)

// TestTokenIsUsedOnce: by the node and in the datacenter that it names, while it
// lasts; the same command takes the node in.
func TestTokenIsUsedOnce(t *testing.T) {
	d := fixture(t)
	hash, other := strings.Repeat("0a", 32), strings.Repeat("0b", 32)
	node := func(id, name, dc string) Node { return Node{ID: id, Name: name, Datacenter: dc} }
	d.must(&FeatureRaise{Level: FeatureLevel}, &TokenPut{Token: Token{Node: "n4", Datacenter: "east", Hash: hash, Expires: 2000}, At: 1000})
	for _, c := range []struct {
		why string
		put NodePut
	}{
		{"none for n5", NodePut{Node: node("x", "n5", "east"), Token: hash, At: 1500}},
		{"none for n4", NodePut{Node: node("x", "n4", "east"), Token: other, At: 1500}},
		{"in the datacenter east, and the node says that it is in west", NodePut{Node: node("x", "n4", "west"), Token: hash, At: 1500}},
		{"that it is in (none)", NodePut{Node: node("x", "n4", ""), Token: hash, At: 1500}},
		{"has expired at 1970-01-01T00:00:02Z", NodePut{Node: node("x", "n4", "east"), Token: hash, At: 2000}},
	} {
		if r := d.do(&c.put); r.Refused != RefusedNotFound || !strings.Contains(r.Message, c.why) || d.s.View().Node("x") != nil {
			t.Errorf("%s: %+v", c.why, r)
		}
	}
	d.must(&NodePut{Node: node("x", "n4", "east"), Token: hash, At: 1999})
	if v := d.s.View(); v.Node("x") == nil || v.Tokens.For("n4") != nil {
		t.Errorf("%+v, tokens %+v", v.Node("x"), v.Tokens)
	}
	d.must(&NodeRemove{ID: "x", At: 1999})
	if r := d.do(&NodePut{Node: node("y", "n4", "east"), Token: hash, At: 1999}); r.Refused != RefusedNotFound || d.s.View().Node("y") != nil {
		t.Errorf("used twice: %+v", r)
	}
}

// TestTokensAreShortLived, replaced, revoked, and not many.
func TestTokensAreShortLived(t *testing.T) {
	d := fixture(t)
	hash := strings.Repeat("0a", 32)
	day := MaxTokenTTL.Milliseconds()
	for _, c := range []Token{
		{Node: "n4", Hash: hash, Expires: 1000 + day + 1}, {Node: "n4", Hash: hash, Expires: 1000}, {Hash: hash, Expires: 2000}, {Node: "n4", Hash: "secret", Expires: 2000},
	} {
		if r := d.do(&TokenPut{Token: c, At: 1000}); r.Refused != RefusedInvalid {
			t.Errorf("%+v: %+v", c, r)
		}
	}
	d.must(&TokenPut{Token: Token{Node: "n4", Hash: hash, Expires: 1000 + day}, At: 1000}, &TokenPut{Token: Token{Node: "n4", Hash: hash, Expires: 3000}, At: 1000})
	if v := d.s.View(); len(v.Tokens) != 1 || v.Tokens.For("n4").Expires != 3000 {
		t.Errorf("%+v", v.Tokens)
	}
	d.must(&TokenPut{Token: Token{Node: "n5", Hash: hash, Expires: 9000}, At: 4000})
	if v := d.s.View(); len(v.Tokens) != 1 || v.Tokens.For("n4") != nil {
		t.Errorf("one that has expired is kept: %+v", v.Tokens)
	}
	d.must(&TokenRevoke{Node: "n5", At: 5000})
	if r := d.do(&TokenRevoke{Node: "n5", At: 5000}); r.Refused != RefusedNotFound {
		t.Errorf("revoked twice: %+v", r)
	}
	for i := range MaxTokens {
		d.must(&TokenPut{Token: Token{Node: time.Duration(i).String(), Hash: hash, Expires: 9000}, At: 6000})
	}
	if r := d.do(&TokenPut{Token: Token{Node: "more", Hash: hash, Expires: 9000}, At: 6000}); r.Refused != RefusedInvalid {
		t.Errorf("%+v", r)
	}
}

// TestBan: whoever is taken out with a ban is kept out by its key, until the ban
// is lifted; where no key is known, by its name.
func TestBan(t *testing.T) {
	d := fixture(t)
	d.must(&NodePut{Node: Node{ID: "a", Name: "n1", Key: "k"}, At: 1}, &NodeRemove{ID: "b", Ban: true, At: 2}, &NodeRemove{ID: "a", Ban: true, At: 3})
	v := d.s.View()
	for _, c := range []struct {
		name, key string
		banned    bool
	}{{"n1", "k", true}, {"other", "k", true}, {"n1", "new", false}, {"n2", "any", true}, {"n3", "any", false}} {
		if got := v.Bans.On(c.name, c.key) != nil; got != c.banned {
			t.Errorf("%+v: banned %v", c, got)
		}
	}
	if r := d.do(&BanLift{Name: "n3"}); r.Refused != RefusedNotFound || !strings.Contains(r.Message, "those on n1, n2 are all there are") {
		t.Errorf("%+v", r)
	}
	d.must(&BanLift{Name: "n1"}, &BanLift{Name: "n2"})
	if v := d.s.View(); len(v.Bans) != 0 || v.Bans.Named("n1") != nil {
		t.Errorf("%+v", v.Bans)
	}
	if r := d.do(&BanLift{Name: "n1"}); r.Refused != RefusedNotFound || !strings.Contains(r.Message, "no node is banned") {
		t.Errorf("%+v", r)
	}
	d.must(&NodePut{Node: Node{ID: "c", Name: "n3", Key: "k"}, At: 4}, &NodeRemove{ID: "c", At: 5})
	if v := d.s.View(); len(v.Bans) != 0 {
		t.Errorf("leaving bans: %+v", v.Bans)
	}
}
