// Package takeover makes a configuration of tlim from that of an Openfire on which the Java plugin ran: of conf/openfire.xml, and of the
// properties in Openfire's database.
//
// [Read] takes the file apart, Document.Database makes a database's address of its JDBC URL, [Convert] gives each setting its key or
// the reason why it is dropped, and File.Text writes the YAML. The package opens nothing and connects to nothing.
//
// Nothing is guessed: what Openfire has encrypted, what names a server that only Java finds and what tlim does not have is named with
// its remedy. Errors and what File.ToDo says hold no value that can be a secret.
package takeover
