//! `tidegate transfer export`.

use futures::StreamExt as _;
use tidegate_client::Client;

use super::{With, resolve};
use crate::args::ExportArgs;
use crate::failure::Failure;
use crate::output::{Output, note};

/// Prints one object a line, whatever form was asked for, and where to go on when it is cut off.
pub(super) async fn run(
    client: &Client,
    args: ExportArgs,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut pieces = client
        .transfers()
        .export()
        .filter(resolve::filter(client, args.filter).await?)
        .with(args.after, |request, place| request.after(place))
        .into_stream();
    let mut place = None;
    while let Some(piece) = pieces.next().await {
        let printed = match piece {
            Ok(piece) => {
                let mut lines = piece.transfers.iter();
                let printed = lines.try_for_each(|transfer| out.json_line(transfer));
                printed.map(|()| place = piece.next)
            }
            Err(error) => Err(error.into()),
        };
        if let Err(failure) = printed {
            if let Some(place) = place {
                note(&format!("the rest comes with --after {place}"));
            }
            return Err(failure);
        }
    }
    Ok(())
}
