package openvpn

import (
	"encoding/base64"
	"strings"

	"net.connman/vpnd/internal/core"
)

// newChallenge makes a challenge of what the server says. flags are letters,
// separated by commas.
func newChallenge(flags, text string) challenge {
	c := challenge{text: core.Readable(text)}
	for flag := range strings.SplitSeq(flags, ",") {
		c.echo = c.echo || flag == "E"
		c.answer = c.answer || flag == "R"
	}
	return c
}

// parseDynamic reads CRV1:FLAGS:STATE:USER:TEXT, with the user in base64.
func parseDynamic(reason string) (*dynamicChallenge, bool) {
	parts := strings.SplitN(reason, ":", 5)
	if len(parts) != 5 || parts[0] != "CRV1" {
		return nil, false
	}
	user, err := base64.StdEncoding.DecodeString(parts[3])
	if err != nil || checkCredential(string(user)) != nil || checkCredential(parts[2]) != nil {
		return nil, false
	}
	return &dynamicChallenge{challenge: newChallenge(parts[1], parts[4]), state: parts[2], user: string(user)}, true
}

// password is what the server gets as the password when the user has answered.
func (d dynamicChallenge) password(answer string) string {
	return "CRV1::" + d.state + "::" + answer
}

// staticPassword is a password together with the answer to the challenge of a
// configuration file.
func staticPassword(password, answer string) string {
	encode := base64.StdEncoding.EncodeToString
	return "SCRV1:" + encode([]byte(password)) + ":" + encode([]byte(answer))
}
