// Command packaging makes what scripts/package needs beside nfpm: archives, the list of what is inside (SBOM), licence texts and
// the container image. It is a module of its own: what only packaging needs stands in its go.mod, not in the product's.
//
//	packaging archive -out FILE.tar.gz|FILE.zip -under NAME FOLDER
//	packaging sbom -lock package-lock.json BINARY           CycloneDX, to standard output
//	packaging licences -lock package-lock.json BINARY       the texts, to standard output
//	packaging image -out FILE.tar -version V ARCH=BINARY... an OCI image layout in a tar, for Linux
//
// The same input gives the same bytes: the time of everything is SOURCE_DATE_EPOCH.
package main
