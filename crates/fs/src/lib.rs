//! The file system: names, attributes, directory snapshots, handles and the reader.
