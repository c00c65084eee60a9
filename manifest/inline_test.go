package manifest

import (
	"regexp"
	"strings"
	"testing"
)

// TestInlineSecretsAreNotShown: whatever somebody writes where a reference
// belongs is refused at its place, and no message holds it.
func TestInlineSecretsAreNotShown(t *testing.T) {
	const login = "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec:\n  bootstrap: [\"a:1\"]\n  sasl:\n    mechanism: PLAIN\n    username: u\n    password: "
	const flow = "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec:\n  bootstrap: [\"a:1\"]\n  sasl: {mechanism: PLAIN, username: u, password: "
	const spec = "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec:\n"
	cert := "-----BEGIN CERTIFICATE-----\n      MIIB\n      -----END CERTIFICATE-----\n      "
	texts := []string{
		spec + "  bootstrap: [\"u:S3CRET@a:1\"]\n", spec + "  bootstrap: [\"SASL_SSL://u:S3CRET@a:1\"]\n", spec + "  bootstrap: \"u:S3CRET@a:1\"\n",
		spec + "  bootstrap: [\"a:1\"]\n  password: S3CRET\n", spec + "  bootstrap: [\"a:1\"]\n  sasl: S3CRET\n", spec + "  bootstrap: [\"a:1\"]\n  sasl: [S3CRET]\n",
		spec + "  bootstrap: [\"a:1\"]\n  jaas: 'required password=\"S3CRET\";'\n",
		spec + "  bootstrap: [\"a:1\"]\n  tls: {key: S3CRET}\n", spec + "  bootstrap: [\"a:1\"]\n  tls: {ca: S3CRET}\n",
		spec + "  bootstrap: [\"a:1\"]\n  tls:\n    cert: |\n      " + cert + "-----BEGIN RSA PRIVATE KEY-----\n      S3CRET\n      -----END RSA PRIVATE KEY-----\n    key: \"${env:K}\"\n",
		spec + "  bootstrap: [\"a:1\"]\n  tls:\n    cert: \"${env:C}\"\n    key: |\n      -----BEGIN PRIVATE KEY-----\n      S3CRET\n      -----END PRIVATE KEY-----\n",
	}
	for _, value := range []string{
		"S3CRET", "'S3CRET'", `"S3CRET"`, "|\n      S3CRET", ">-\n      S3CRET", "*S3CRET", "&S3CRET", "&S3CRET x", "!S3CRET", "!S3CRET x", "@S3CRET", "`S3CRET", "%S3CRET", "%S3CRET x",
		"[S3CRET", "[S3CRET]", "]S3CRET", "{S3CRET", "{S3CRET}", "{S3CRET: x}", "{x: S3CRET}", "}S3CRET", "S3CRET: x", "S3CRET:", "x: S3CRET", "- S3CRET", "? S3CRET", ": S3CRET", `"S3CRET`, "'S3CRET",
		`S3CRET"x"`, `"x"S3CRET`, `'x'S3CRET`, `"x" S3CRET`, "|S3CRET", ">S3CRET", "S3CRET\n    S3CRET", "x\n  S3CRET", "x\nS3CRET", "x\n\tS3CRET", "x, S3CRET", "S3CRET, x", "S3CRET # x", "<<: S3CRET", "-S3CRET", "--- S3CRET",
		"${S3CRET}", "${S3CRET", "${S3CRET:x}", "${file:S3CRET}", "${env:x-S3CRET}", "${env:S3CRET!}", `"${env:S3CRET }"`, "$S3CRET", "{{ S3CRET }}", `"\S3CRET"`, `"\u00S3CRET"`, "0x S3CRET", "~S3CRET", "S3CRET\x01",
	} {
		texts = append(texts, login+value+"\n", flow+value+"}\n", login+value+"\n---\n"+login+value+"\n")
	}
	at := regexp.MustCompile(`^f:\d+:\d+: .`)
	for _, text := range texts {
		_, err := ParseAll(t.Context(), []Source{{Name: "f", Text: text}})
		switch {
		case err == nil:
			t.Errorf("taken:\n%s", text)
		case strings.Contains(strings.ToUpper(err.Error()), "S3CRET"):
			t.Errorf("%v\nis said of\n%s", err, text)
		case !at.MatchString(err.Error()):
			t.Errorf("%v\nnames no place in\n%s", err, text)
		}
	}
}
