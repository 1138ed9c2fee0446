package private

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// The owner, administrators and the system have every right; P: nothing is inherited.
const (
	ofFile   = "D:P(A;;FA;;;OW)(A;;FA;;;BA)(A;;FA;;;SY)"
	ofFolder = "D:P(A;OICI;FA;;;OW)(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)"
)

func create(path string) (*os.File, error) {
	list, err := windows.SecurityDescriptorFromString(ofFile)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	attributes := windows.SecurityAttributes{SecurityDescriptor: list}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	handle, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, &attributes,
		windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}

func restrict(path string) error { return RestrictTo(path) }

// RestrictTo is [Restrict] but for these accounts, by their SIDs, which have every right as well.
func RestrictTo(path string, sids ...string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	text, inherited := ofFile, ""
	if info.IsDir() {
		text, inherited = ofFolder, "OICI"
	}
	for _, sid := range sids {
		text += "(A;" + inherited + ";FA;;;" + sid + ")"
	}
	descriptor, err := windows.SecurityDescriptorFromString(text)
	if err != nil {
		return fmt.Errorf("access list of %s: %w", path, err)
	}
	list, _, err := descriptor.DACL()
	if err == nil {
		err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil)
	}
	if err != nil {
		return fmt.Errorf("access list of %s: %w", path, err)
	}
	return nil
}

// reading are the rights by which somebody gets at what is in a file.
const reading = windows.FILE_READ_DATA | windows.GENERIC_READ | windows.GENERIC_ALL | windows.WRITE_DAC | windows.WRITE_OWNER

func readers(path string) (string, error) {
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return "", fmt.Errorf("access list of %s: %w", path, err)
	}
	owner, _, err := descriptor.Owner()
	if err != nil {
		return "", fmt.Errorf("owner of %s: %w", path, err)
	}
	list, _, err := descriptor.DACL()
	if err != nil {
		return "", fmt.Errorf("access list of %s: %w", path, err)
	}
	if list == nil {
		return "everybody", nil // no list at all
	}
	var names []string
	for i := range uint32(list.AceCount) {
		var entry *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &entry); err != nil {
			return "", fmt.Errorf("access list of %s: %w", path, err)
		}
		if entry.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE || entry.Mask&reading == 0 || entry.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0 {
			continue
		}
		sid := (*windows.SID)(unsafe.Pointer(&entry.SidStart))
		if sid.Equals(owner) || trusted(sid) {
			continue
		}
		name := sid.String()
		if account, domain, _, err := sid.LookupAccount(""); err == nil {
			name = strings.TrimPrefix(domain+`\`+account, `\`)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", "), nil
}

// trusted are those who can read everything, the owner as such, and services' own accounts: tlim's may be one.
func trusted(sid *windows.SID) bool {
	for _, known := range []windows.WELL_KNOWN_SID_TYPE{windows.WinBuiltinAdministratorsSid, windows.WinLocalSystemSid, windows.WinCreatorOwnerRightsSid, windows.WinCreatorOwnerSid} {
		if sid.IsWellKnown(known) {
			return true
		}
	}
	return strings.HasPrefix(sid.String(), "S-1-5-80-")
}

func strangers(path string) (string, error) { return readers(path) }

func remedy(path string) string {
	return fmt.Sprintf(`icacls "%s" /inheritance:r /grant:r *S-1-3-4:F *S-1-5-32-544:F *S-1-5-18:F`, path)
}
