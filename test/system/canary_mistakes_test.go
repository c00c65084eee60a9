package system

import (
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// mistake is a secret in a wrong place: of a manifest, a configuration or the
// command line. What refuses it says where it stands and what to do.
func (a *aviary) mistake(place, want string, env []string, text string, args ...string) {
	a.t.Helper()
	if text != "" {
		if err := os.WriteFile(filepath.Join(a.outside, "in.yaml"), []byte(text), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	out, err := a.sluice(env, args...)
	if _, ran := errors.AsType[*exec.ExitError](err); !ran || !strings.Contains(out, want) {
		a.t.Errorf("%s: %v, %q does not say %q", place, err, out, want)
	}
	a.clean("what refuses the "+place, []byte(out))
}

// mistakes are secrets that somebody wrote where they do not belong.
func (a *aviary) mistakes() {
	a.t.Helper()
	const login = "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: bad}\nspec:\n  bootstrap: [BOOT]\n  sasl:\n    mechanism: PLAIN\n    username: u\n    password: SECRET\n"
	plainly := strings.NewReplacer("BOOT", `"k1:9092"`)
	for place, value := range map[string]string{
		"password as text": `"%s"`, "password that looks like an alias": "*%s", "password that looks like a tag": "!%s", "reference without a kind": `"${%s}"`,
		"secret as the name of its variable": `"${env:%s}"`, "secret as the name of its file": `"${file:%s}"`, "password as text on lines": "|\n      %s",
	} {
		secret := fmt.Sprintf(value, a.flock.New(place))
		for _, verb := range []string{"validate", "plan", "apply"} {
			a.mistake(place, "in.yaml:9:", nil, strings.Replace(plainly.Replace(login), "SECRET", secret, 1), verb, "-f", "in.yaml")
		}
	}
	whole := plainly.Replace(strings.Replace(login, "SECRET", `"${env:SLUICE_SECRET_EU}"`, 1))
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(a.flock.New("private key as text") + strings.Repeat("=", 40))})
	cert := a.read(a.src.CAFile())
	if err := a.flock.Add("private key behind a certificate", key); err != nil {
		a.t.Fatal(err)
	}
	indented := strings.ReplaceAll(string(cert)+string(key), "\n", "\n      ")
	for place, c := range map[string]struct{ want, text string }{
		"password in an address":       {"in.yaml:5:", strings.Replace(whole, "k1:9092", "SASL_SSL://u:"+a.flock.New("password in an address")+"@k1:9092", 1)},
		"key behind its certificate":   {"in.yaml:7:", strings.Replace(whole, "  sasl:", "  tls:\n    cert: |\n      "+indented+"\n    key: \"${env:SLUICE_SECRET_EU}\"\n  sasl:", 1)},
		"password in an unknown field": {"in.yaml:6:", strings.Replace(whole, "  sasl:", "  saslJaasConfig: 'required password=\""+a.flock.New("password in an unknown field")+"\";'\n  sasl:", 1)},
	} {
		a.mistake(place, c.want, nil, c.text, "apply", "-f", "in.yaml")
	}
	// Files outside of the folder of secrets, or too large for one, are not read.
	file := filepath.Join(a.outside, "outside")
	if err := os.WriteFile(file, []byte(a.flock.New("file that may not be read")), 0o600); err != nil {
		a.t.Fatal(err)
	}
	large := a.Secret("large", []byte(strings.Repeat(a.flock.New("file that is too large"), 30_000)))
	for _, f := range []string{file, large, a.Secret("ca.d/none", nil) + "/absent"} {
		a.mistake("secret that cannot be read", "in.yaml:9:", nil, strings.Replace(plainly.Replace(login), "SECRET", `"${file:`+f+`}"`, 1), "apply", "-f", "in.yaml")
	}
	a.configured(key)
	token := a.flock.New("another token")
	wrong := filepath.Join(a.outside, "wrong.token")
	if err := os.WriteFile(wrong, []byte(token), 0o600); err != nil {
		a.t.Fatal(err)
	}
	a.mistake("wrong token", "this API does not know the token", []string{"SLUICE_TOKEN_FILE=" + wrong}, "", "status")
	a.mistake("token as its file", "give the path of a file", nil, "", "status", "--token-file", token)
	a.mistake("token in the address", "an address holds no user and no password", []string{"SLUICE_ADDRESS=https://ops:" + token + "@" + a.List()[0].HTTP}, "", "status")
}

// configured are secrets in a node.yaml.
func (a *aviary) configured(key []byte) {
	a.t.Helper()
	file := a.flock.New("token as its file in node.yaml")
	field := a.flock.New("token in an unknown field of node.yaml")
	for _, verb := range [][]string{{"server", "validate", "-c", "in.yaml"}, {"server", "-c", "in.yaml"}} {
		for place, c := range map[string]struct{ want, lines string }{
			"token as its file": {"in.yaml:5:", "http: {listen: \"127.0.0.1:1\", tokenFile: \"" + file + "\"}\n"},
			"token in a field":  {"in.yaml:5:", "http: {listen: \"127.0.0.1:1\", token: \"" + field + "\"}\n"},
			"key as its file":   {"in.yaml:6:", "peer:\n  tls: {cert: n.pem, ca: ca.pem, key: \"" + strings.ReplaceAll(string(key), "\n", "\\n") + "\"}\n"},
		} {
			text := "name: n9\ndataDir: n9\njoin: []\n# below stands what is wrong\n" + c.lines
			if !strings.Contains(c.lines, "peer:") {
				text += "peer: {listen: \"127.0.0.1:2\", tls: {cert: n.pem, key: n.key, ca: ca.pem}}\n"
			}
			a.mistake(place+" in node.yaml", c.want, nil, text, verb...)
		}
	}
}

// wrongPassword lets the nodes log in with another password for a while.
func (a *aviary) wrongPassword() {
	a.t.Helper()
	a.Secret(plain, []byte(a.flock.New("wrong password")))
	restarted := a.List()[1]
	restarted.Kill()
	restarted.Start()
	until(a.t, "a login is refused", func() error {
		s := restarted.Status()
		if s == nil {
			return fmt.Errorf("%s does not answer", restarted.Name)
		}
		for _, x := range s.Tasks {
			if strings.Contains(x.Message, "refuses the user or the password") {
				return nil
			}
		}
		return fmt.Errorf("%d tasks, none of which says so", len(s.Tasks))
	})
	a.Secret(plain, []byte(a.password))
	wrong := a.Secret("wrong.password", []byte(a.flock.New("wrong password in a plan")))
	text := strings.NewReplacer("{name: us}", "{name: us2}", "{name: us-eu}", "{name: plan}", "source: us,", "source: us2,", "{include: [orders]}", "{include: [audit]}",
		filepath.Join(filepath.Dir(wrong), plain), wrong).Replace(a.declared())
	a.mistake("wrong password in a plan", "refuses the user or the password", nil, text, "plan", "-f", "in.yaml")
	a.Copying(a.List()[0], 7)
}
