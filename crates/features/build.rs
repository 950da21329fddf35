//! Does nothing. Cargo heeds the build dependencies of a package only when it has a build script.

fn main() {}
