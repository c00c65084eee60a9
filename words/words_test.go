package words

import "testing"

func TestCount(t *testing.T) {
	for _, c := range []struct {
		n          int
		what, want string
	}{
		{0, "topic", "0 topics"},
		{1, "topic", "1 topic"},
		{2, "topic", "2 topics"},
		{-1, "topic", "-1 topics"},
		{1, "more task", "1 more task"},
		{3, "more task", "3 more tasks"},
		{1, "copy", "1 copy"},
		{2, "copy", "2 copies"},
		{2, "day", "2 days"},
		{2, "batch", "2 batches"},
		{2, "address", "2 addresses"},
		{2, "index", "2 indexes"},
		{2, "", "2 "},
	} {
		if got := Count(c.n, c.what); got != c.want {
			t.Errorf("%d of %q: %q, want %q", c.n, c.what, got, c.want)
		}
	}
}

func TestVerb(t *testing.T) {
	if got := Verb(int64(1), "is", "are") + Verb(int32(0), "is", "are") + Verb(2, "is", "are"); got != "isareare" {
		t.Error(got)
	}
}

func TestList(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{List([]string{"a"}), "a"},
		{List([]string{"a", "b", "c", "d", "e"}), "a, b, c, d, e"},
		{List([]int{1, 2, 3, 4, 5, 6, 7}), "1, 2, 3, 4, 5 and 2 more"},
		{ListOf([]string{"a", "b"}, 5), "a, b and 3 more"},
		{ListOf([]string{"a", "b", "c", "d", "e", "f"}, 9), "a, b, c, d, e and 4 more"},
		{Named("topic", []string{"a"}), "topic a"},
		{Named("topic", []string{"a", "b"}), "topics a, b"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
