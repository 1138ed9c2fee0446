// Package system tests the whole product on real parts: the tlim binary between an Openfire or a Prosody and SQLite or
// MariaDB, with real clients. It holds tests only.
//
// A test sees what an administrator, an integrator or a phone can see: stanzas, HTTP answers, metrics and /readyz. What is right
// is judged from the clients' ledgers (ledger_test.go), which share no code with the product. Servers are shared by the tests; each
// test has users, a component name and a tlim of its own, so that they do not see each other.
package system
