//! One set of stories, told through every door to a file service: in this process, a session over a pipe, and the real `towd` over
//! TLS, over a unix socket and as a child on standard input and output. What a person sees must not depend on the door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

mod changes;
mod listings;
#[path = "../support/names.rs"]
mod names;
mod reads;
#[path = "../support/skip.rs"]
mod skip;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/towd.rs"]
mod towd;
mod uploads;
mod world;

macro_rules! stories_over {
    ($module:ident, $door:expr; $($file:ident::$story:ident)+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                crate::world::World::run($door, crate::$file::$story).await;
            })+
        }
    };
}

macro_rules! stories {
    ($($file:ident::$story:ident,)+) => {
        stories_over!(in_process, crate::world::Door::InProcess; $($file::$story)+);
        stories_over!(over_a_pipe, crate::world::Door::Pipe; $($file::$story)+);
        stories_over!(over_tls, crate::world::Door::Tls; $($file::$story)+);
        stories_over!(over_a_unix_socket, crate::world::Door::Unix; $($file::$story)+);
        stories_over!(with_a_child, crate::world::Door::Child; $($file::$story)+);
    };
}

stories! {
    listings::nasty_names_come_as_they_are,
    listings::a_large_folder_comes_page_by_page_as_it_is_granted,
    listings::nothing_comes_beyond_what_was_granted,
    listings::a_listing_nobody_wants_any_more_does_no_harm,
    listings::a_walk_meets_everything_once,
    listings::an_empty_folder_has_an_empty_page,
    listings::a_folder_is_measured,
    listings::there_is_space,
    reads::files_of_every_size_come_back,
    reads::a_part_of_a_file_is_read,
    reads::a_large_read_can_be_cancelled,
    reads::a_read_dropped_in_the_middle_leaves_the_link_usable,
    reads::many_reads_at_once_do_not_mix,
    reads::a_file_that_changed_is_not_read,
    reads::blocks_tell_where_two_files_differ,
    reads::holes_come_as_what_they_are,
    uploads::files_of_every_size_are_stored,
    uploads::large_files_are_uploaded_and_come_back,
    uploads::an_upload_with_a_wrong_hash_leaves_nothing,
    uploads::an_upload_that_is_dropped_leaves_the_old_file,
    uploads::many_small_files_are_stored_at_once,
    uploads::what_is_there_is_taken_over_and_zeros_are_said,
    uploads::a_span_that_breaks_a_rule_ends_its_upload_alone,
    changes::folders_and_links_are_made,
    changes::times_and_modes_are_set,
    changes::things_are_renamed,
    changes::a_tree_is_copied,
    changes::a_tree_is_removed,
    changes::what_is_not_there_is_told,
    changes::what_is_not_a_folder_is_told,
    changes::a_link_does_not_lead_outside,
    changes::a_repeated_change_happens_once,
}
