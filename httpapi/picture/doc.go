// Package picture makes small pictures of large ones: JPEG, PNG and the first image of a GIF.
//
// It guarantees three things.
//
//   - What decoding would take of memory is known from the head of the file, and a picture that would take more than [MaxMemory]
//     is refused before anything of it is decoded.
//   - It ends soon after its context does.
//   - A picture stands as its camera was held (EXIF), and nothing else of what its file says of its maker is in the small one.
//
// How many are made at once is its caller's to bound. It knows nobody.
package picture
