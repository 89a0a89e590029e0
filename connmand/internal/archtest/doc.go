// Package archtest holds the rules of docs/architecture.md, "Who may know whom",
// as a test over the source of every module. It owns nothing and runs nowhere
// but in the test.
package archtest
