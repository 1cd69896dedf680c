// Package self has the names of the programs on the seeder's machine, for messages that tell a person what to run there. They are
// seeder and mkimage, as the source tree has them, or one program that does what both do.
package self

// one is the program that does what both do; empty where there are two.
var one string

// IsOne says that this process is the program name, which does what seeder and mkimage do. Its main calls it before anything else.
func IsOne(name string) { one = name }

// Seeder is how a command line begins that another one would have begun with seeder: "seeder", or "boottorrent".
func Seeder() string {
	if one != "" {
		return one
	}
	return "seeder"
}

// Mkimage is the same for mkimage: "mkimage", or "boottorrent mkimage".
func Mkimage() string {
	if one != "" {
		return one + " mkimage"
	}
	return "mkimage"
}

// IsSeeder reports whether a process of that name may be a seeder, whichever of the programs it was started as.
func IsSeeder(process string) bool { return process == "seeder" || process == "boottorrent" }
