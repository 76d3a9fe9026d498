//! A bucket, filled over the wire.

use aws_sdk_s3::primitives::ByteStream;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::Server;

/// A bucket of a server. Every call goes over the wire and panics where it fails.
#[derive(Debug)]
pub struct Bucket<'a> {
    /// Where it is.
    pub server: &'a Server,
    /// Its name.
    pub name: String,
}

impl Bucket<'_> {
    /// Puts an object, new or in place of another; its ETag, with quotes.
    #[track_caller]
    pub fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) -> String {
        let body = ByteStream::from(bytes.into());
        let put = self.server.client.put_object().bucket(&self.name).key(key).body(body).send();
        let put = self.server.runtime.block_on(put).expect("the object can be put");
        put.e_tag.unwrap_or_default()
    }

    /// Puts many objects, sixteen at a time.
    #[track_caller]
    pub fn put_all(&self, objects: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let puts = stream::iter(objects)
            .map(|(key, bytes)| {
                let body = ByteStream::from(bytes);
                self.server.client.put_object().bucket(&self.name).key(key).body(body).send()
            })
            .buffer_unordered(16)
            .for_each(|put| async { drop(put.expect("the object can be put")) });
        self.server.runtime.block_on(puts);
    }

    /// An object's bytes.
    #[track_caller]
    pub fn get(&self, key: &str) -> Vec<u8> {
        let get = async {
            let get = self.server.client.get_object().bucket(&self.name).key(key).send().await;
            get.expect("the object can be got").body.collect().await.expect("its body ends")
        };
        self.server.runtime.block_on(get).to_vec()
    }

    /// Deletes an object.
    #[track_caller]
    pub fn delete(&self, key: &str) {
        let delete = self.server.client.delete_object().bucket(&self.name).key(key).send();
        self.server.runtime.block_on(delete).expect("the object can be deleted");
    }

    /// Puts an object that has no bytes of its own (the lab's only): see [`lab::synthetic`].
    #[track_caller]
    pub fn put_synthetic(&self, key: &str, size: u64, version: u64) {
        let put = self.server.lab_itself().put_synthetic(&self.name, key, size, version);
        put.expect("the synthetic object can be put");
    }

    /// Puts `count` synthetic objects of version 1 named `prefix` and seven digits.
    #[track_caller]
    pub fn put_synthetic_many(&self, prefix: &str, count: u64, size: u64) {
        let lab = self.server.lab_itself();
        lab.put_synthetic_many(&self.name, prefix, count, size).expect("they can be put");
    }
}
