//! A bucket, filled over the wire.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::MultipartUpload;
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

    /// An object's bytes, if there is one.
    #[track_caller]
    pub fn find(&self, key: &str) -> Option<Vec<u8>> {
        let get = async {
            match self.server.client.get_object().bucket(&self.name).key(key).send().await {
                Ok(got) => Some(got.body.collect().await.expect("its body ends").to_vec()),
                Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => None,
                Err(error) => panic!("{key} cannot be got: {error:?}"),
            }
        };
        self.server.runtime.block_on(get)
    }

    /// Begins an upload in parts, and answers its key and id.
    #[track_caller]
    pub fn begin_upload(&self, key: &str) -> (String, String) {
        let begin = self.server.client.create_multipart_upload().bucket(&self.name).key(key).send();
        let begun = self.server.runtime.block_on(begin).expect("an upload can be begun");
        (key.to_owned(), begun.upload_id.unwrap_or_default())
    }

    /// Stores the first part of an upload.
    #[track_caller]
    pub fn put_part(&self, (key, id): &(String, String), bytes: impl Into<Vec<u8>>) {
        let client = &self.server.client;
        let put = client.upload_part().bucket(&self.name).key(key).upload_id(id).part_number(1);
        let put = put.body(ByteStream::from(bytes.into())).send();
        self.server.runtime.block_on(put).expect("the part can be stored");
    }

    /// The keys and ids of all uploads that were begun and not ended.
    #[track_caller]
    pub fn uploads(&self) -> Vec<(String, String)> {
        let list = self.server.client.list_multipart_uploads().bucket(&self.name).send();
        let listed = self.server.runtime.block_on(list).expect("uploads can be listed");
        let of = |u: MultipartUpload| Some((u.key?, u.upload_id?));
        listed.uploads.unwrap_or_default().into_iter().filter_map(of).collect()
    }

    /// How many parts an upload has.
    #[track_caller]
    pub fn parts(&self, (key, id): &(String, String)) -> usize {
        let list = self.server.client.list_parts().bucket(&self.name).key(key).upload_id(id).send();
        let listed = self.server.runtime.block_on(list).expect("parts can be listed");
        listed.parts.unwrap_or_default().len()
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
