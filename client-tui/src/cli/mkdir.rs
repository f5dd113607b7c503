//! `tow mkdir`: makes folders.

use towpath_protocol::entry::Kind;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Existing, Follow};

use super::args::MkdirArgs;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::place::{Place, Places};

/// Makes each operand; what fails is named and does not stop the rest.
pub(super) async fn run(args: &MkdirArgs, places: &mut Places) -> Result<Exit, Failure> {
    let output = Output::new(args.output);
    let mut failed = Vec::new();
    for target in &args.targets {
        let made = match places.resolve(target).await {
            Ok(place) => make(&place, args.parents).await.map(|()| place),
            Err(failure) => Err(failure),
        };
        match made {
            Ok(place) => {
                output.object(&serde_json::json!({ "event": "made", "path": place.typed }))?;
            }
            Err(failure) => {
                output.failed(target, &failure)?;
                failed.push(failure.exit);
            }
        }
    }
    Ok(Exit::of_operands(&failed, args.targets.len()))
}

async fn make(place: &Place, parents: bool) -> Result<(), Failure> {
    let made = if parents {
        make_with_parents(place).await
    } else {
        place.link.make_folder(&place.path, Existing::Keep).await
    };
    made.map_err(|fault| {
        let mut failure = place.not_there(&fault);
        if !parents && fault.code == FaultCode::NotFound {
            failure.message += "; -p makes the folders above too";
        }
        failure
    })
}

/// Each missing folder from the top; one that is there, or a link to one, is good enough.
async fn make_with_parents(place: &Place) -> Result<(), towpath_protocol::fault::Fault> {
    let mut path = WirePath::root();
    for name in place.path.names() {
        path = path.join(name).map_err(|_| FaultCode::NameTooLong)?;
        match place.link.stat(&path, Follow::Yes).await {
            Ok(attributes) if attributes.kind == Kind::Folder => {}
            Ok(_) => return Err(FaultCode::NotAFolder.into()),
            Err(fault) if fault.code == FaultCode::NotFound => {
                place.link.make_folder(&path, Existing::Replace).await?;
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}
