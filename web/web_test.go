package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"sluice/fsm/reason"
)

func get(t *testing.T, path string) (int, string, string) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("%s: no policy", path)
	}
	return w.Code, w.Header().Get("Content-Type"), w.Body.String()
}

// TestPageIsWhole: all that the page names is there, and nothing of it lies
// elsewhere.
func TestPageIsWhole(t *testing.T) {
	code, kind, page := get(t, "/")
	if code != 200 || !strings.HasPrefix(kind, "text/html") {
		t.Fatalf("%d %s", code, kind)
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		switch ref := m[1]; {
		case strings.HasPrefix(ref, "data:"), strings.HasPrefix(ref, "v1/"), ref == "metrics":
		case strings.Contains(ref, "//"):
			t.Errorf("the page loads %s", ref)
		default:
			if code, _, _ := get(t, "/"+ref); code != 200 {
				t.Errorf("%s: %d", ref, code)
			}
		}
	}
	if code, _, _ := get(t, "/none"); code != 404 {
		t.Errorf("/none: %d", code)
	}
}

// TestScriptFindsItsElements: every id that the script asks for stands in the page.
func TestScriptFindsItsElements(t *testing.T) {
	_, _, page := get(t, "/")
	_, kind, script := get(t, "/page.js")
	if !strings.Contains(kind, "javascript") {
		t.Error(kind)
	}
	for _, m := range regexp.MustCompile(`(?:\$|table)\("(\w+)"`).FindAllStringSubmatch(script, -1) {
		if !strings.Contains(page, `id="`+m[1]+`"`) {
			t.Errorf("no element %s", m[1])
		}
	}
	if strings.Contains(script, "innerHTML") {
		t.Error("text of the cluster could become markup")
	}
}

// TestScriptKnowsNoReasonCodes: how bad a code is comes with the code, so that
// a new one is shown right by a page that never heard of it.
func TestScriptKnowsNoReasonCodes(t *testing.T) {
	_, _, script := get(t, "/page.js")
	for _, r := range reason.All() {
		if strings.Contains(script, `"`+string(r.Code)+`"`) {
			t.Errorf("the page decides about %s by itself", r.Code)
		}
	}
}
