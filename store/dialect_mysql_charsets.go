package store

import "strings"

// charsetMySQL is what is known of a character set by its name. What it lacks of a text the server itself is asked: see heldMySQL.
func charsetMySQL(name string) charset {
	set := charset{name: name, lacks: lacksChinese}
	switch name {
	case "", "utf8mb4", "gb18030", "utf16", "utf16le", "utf32":
		set.lacks = lacksNothing
	case "utf8", "utf8mb3", "ucs2":
		set.lacks = lacksPlanes
	case "gbk", "gb2312", "big5":
		set.lacks = lacksSome
	case "sjis", "cp932", "ujis", "eucjpms", "euckr":
		set.lacks = lacksMost
	}
	for _, prefix := range []string{"utf8", "gb", "ucs2", "utf16", "utf32"} {
		set.chinese = set.chinese || strings.HasPrefix(name, prefix)
	}
	return set
}
