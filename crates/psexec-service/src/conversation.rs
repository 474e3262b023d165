//! The order of messages on the main pipe: SETTINGS, its answer, START_APP.

use paexec::{CodePages, Message, MessageBody, Settings, StartApp};

/// The longest message that is taken in. SETTINGS with the longest command line Windows has is 70 KB.
pub(crate) const LONGEST_MESSAGE: usize = 1 << 20;

/// One client's conversation up to the start of its process.
#[derive(Default)]
pub(crate) struct Conversation {
    settings: Option<(u32, Box<Settings>)>,
}

/// What a message asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Send this, and go on reading.
    Answer(Message),
    /// Start the process. The answer bears the same unique id.
    Start { unique_id: u32, settings: Box<Settings>, start: StartApp },
    /// Send this, and listen no longer to this client.
    Refuse(Message),
}

impl Conversation {
    /// Takes in one message.
    pub(crate) fn receive(&mut self, bytes: &[u8], code_pages: CodePages) -> Request {
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => return self.refuse(format!("The request is not understood: {error}.")),
        };
        match (message.body, self.settings.take()) {
            (MessageBody::Settings(settings), None) => {
                if !settings.source_files.is_empty() || !settings.destination_files.is_empty() {
                    return refuse(message.unique_id, "This service copies no files.".to_owned());
                }
                self.settings = Some((message.unique_id, settings));
                let body = MessageBody::Ok(code_pages.encode().to_vec());
                Request::Answer(Message { unique_id: message.unique_id, body })
            }
            (MessageBody::StartApp(start), Some((unique_id, settings))) if unique_id == message.unique_id => {
                Request::Start { unique_id, settings, start }
            }
            (body, _) => refuse(message.unique_id, format!("The request {} is out of order.", name(&body))),
        }
    }

    /// The answer to something that is no message.
    pub(crate) fn refuse(&self, reason: String) -> Request {
        refuse(self.settings.as_ref().map_or(0, |(unique_id, _)| *unique_id), reason)
    }
}

/// The answer to a message with this id.
pub(crate) fn failed(unique_id: u32, reason: String) -> Message {
    Message { unique_id, body: MessageBody::Failed(reason) }
}

fn refuse(unique_id: u32, reason: String) -> Request {
    Request::Refuse(failed(unique_id, reason + "\r\n"))
}

fn name(body: &MessageBody) -> &'static str {
    match body {
        MessageBody::Settings(_) => "SETTINGS",
        MessageBody::ResponseSendFiles(_) => "RESP_SEND_FILES",
        MessageBody::SentFiles(_) => "SENT_FILES",
        MessageBody::Ok(_) => "OK",
        MessageBody::StartApp(_) => "START_APP",
        MessageBody::Failed(_) => "FAILED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE_PAGES: CodePages = CodePages { oem: 850, ansi: 1252 };

    fn settings() -> Settings {
        Settings { executable: "x.exe".to_owned(), ..Settings::default() }
    }

    fn encoded(unique_id: u32, body: MessageBody) -> Vec<u8> {
        Message { unique_id, body }.encode(4711)
    }

    fn settings_message() -> Vec<u8> {
        encoded(7, MessageBody::Settings(Box::new(settings())))
    }

    fn start_message(unique_id: u32) -> Vec<u8> {
        encoded(unique_id, MessageBody::StartApp(StartApp { process_id: 1, host: "h".to_owned() }))
    }

    fn refusal(request: Request) -> (u32, String) {
        match request {
            Request::Refuse(Message { unique_id, body: MessageBody::Failed(text) }) => (unique_id, text),
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn settings_then_start() {
        let mut conversation = Conversation::default();
        let Request::Answer(answer) = conversation.receive(&settings_message(), CODE_PAGES) else {
            panic!("SETTINGS is answered");
        };
        assert_eq!(answer, Message { unique_id: 7, body: MessageBody::Ok(CODE_PAGES.encode().to_vec()) });

        let request = conversation.receive(&start_message(7), CODE_PAGES);
        let start = StartApp { process_id: 1, host: "h".to_owned() };
        assert_eq!(request, Request::Start { unique_id: 7, settings: Box::new(settings()), start });
    }

    #[test]
    fn refuses_what_is_out_of_order() {
        let first = |bytes: &[u8]| refusal(Conversation::default().receive(bytes, CODE_PAGES));
        assert_eq!(first(&start_message(9)), (9, "The request START_APP is out of order.\r\n".to_owned()));
        assert_eq!(first(&encoded(9, MessageBody::Ok(Vec::new()))).1, "The request OK is out of order.\r\n");

        let second = |bytes: &[u8]| {
            let mut conversation = Conversation::default();
            conversation.receive(&settings_message(), CODE_PAGES);
            refusal(conversation.receive(bytes, CODE_PAGES))
        };
        assert_eq!(second(&settings_message()).1, "The request SETTINGS is out of order.\r\n");
        assert_eq!(second(&start_message(8)).1, "The request START_APP is out of order.\r\n");
    }

    #[test]
    fn refuses_what_is_no_message() {
        let mut conversation = Conversation::default();
        let (unique_id, text) = refusal(conversation.receive(&[1, 0, 2], CODE_PAGES));
        assert_eq!(unique_id, 0);
        assert!(text.starts_with("The request is not understood: ") && text.ends_with(".\r\n"), "{text}");

        conversation.receive(&settings_message(), CODE_PAGES);
        assert_eq!(refusal(conversation.receive(&[], CODE_PAGES)).0, 7);
    }

    #[test]
    fn half_messages_are_refused_wherever_they_end() {
        for whole in [settings_message(), start_message(7)] {
            for length in 0..whole.len() {
                refusal(Conversation::default().receive(&whole[..length], CODE_PAGES));
            }
        }
    }
}
