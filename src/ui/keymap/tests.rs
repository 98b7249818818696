use super::*;

fn settings(profile: Profile) -> Settings {
    Settings { profile, ..Settings::default() }
}

fn keymap(settings: &Settings) -> Keymap {
    let (keymap, notices) = Keymap::new(settings, &Class::defaults());
    assert_eq!(notices, [""; 0]);
    keymap
}

fn shortcut(text: &str) -> Shortcut {
    text.parse().unwrap()
}

#[test]
fn in_every_profile_every_command_has_a_key_for_one_hand_and_no_key_has_two() {
    for profile in Profile::ALL {
        let keymap = keymap(&settings(profile));
        let mut seen = Vec::new();
        for (command, keys) in &keymap.rows {
            let plain = keys.iter().any(|key| !(key.ctrl || key.alt || key.shift));
            assert!(plain, "{command:?} needs two hands in {profile:?}: {keys:?}");
            for key in keys {
                assert!(!seen.contains(key), "{key} stands for two commands in {profile:?}");
                seen.push(*key);
            }
        }
    }
}

#[test]
fn profiles_have_the_keys_of_their_programs() {
    for (profile, key, command) in [
        (Profile::Penumbra, "J", UiCommand::Label(0)),
        (Profile::Penumbra, "Ctrl+Z", UiCommand::Undo),
        (Profile::LeftHand, "F", UiCommand::Label(0)),
        (Profile::LeftHand, "A", UiCommand::Uninterpretable),
        (Profile::LeftHand, "Ctrl+Z", UiCommand::Undo),
        (Profile::Ohif, "Space", UiCommand::ResetView),
        (Profile::Ohif, "R", UiCommand::RotateRight),
        (Profile::Ohif, "K", UiCommand::Label(1)),
        (Profile::Weasis, "Esc", UiCommand::ResetView),
        (Profile::Weasis, "0", UiCommand::Preset(Preset::Auto)),
        (Profile::Weasis, "Alt+L", UiCommand::RotateLeft),
        (Profile::Horos, "0", UiCommand::Preset(Preset::Full)),
        (Profile::Horos, "L", UiCommand::Tool(Tool::Ruler)),
    ] {
        assert_eq!(keymap(&settings(profile)).command(shortcut(key)), Some(command), "{key}");
    }
    let moves = |profile| keymap(&settings(profile)).space_moves();
    assert_eq!(Profile::ALL.map(moves), [true, true, false, false, true]);
}

#[test]
fn a_classs_key_comes_before_the_profiles_and_the_readers_before_both() {
    let mut classes = Class::defaults();
    classes[1].key = 'd';
    let (own, _) = Keymap::new(&Settings::default(), &classes);
    assert_eq!(own.command(shortcut("D")), Some(UiCommand::Label(1)));
    assert_eq!(own.keys(UiCommand::Tool(Tool::Ruler)), []);
    let mut chosen = Settings::default();
    chosen.keys.insert("tool-ruler".to_owned(), vec!["D".to_owned()]);
    let (own, notices) = Keymap::new(&chosen, &classes);
    assert_eq!(own.command(shortcut("D")), Some(UiCommand::Tool(Tool::Ruler)));
    assert!(own.keys(UiCommand::Label(1)).is_empty() && notices.is_empty());
}

#[test]
fn a_key_that_another_command_has_is_refused_by_name() {
    let mut chosen = Settings::default();
    let classes = Class::defaults();
    let before = keymap(&chosen);
    let assign = |settings: &mut Settings, command, instead, key| {
        before.assign(settings, &classes, command, instead, shortcut(key))
    };
    let refused = assign(&mut chosen, UiCommand::ToggleInvert, Some(shortcut("I")), "J");
    assert_eq!(refused, Err("J is the key of “Normal”".to_owned()));
    assert_eq!(chosen, Settings::default(), "a refused key changed the settings");
    assign(&mut chosen, UiCommand::ToggleInvert, Some(shortcut("I")), "B").unwrap();
    let after = keymap(&chosen);
    assert_eq!(after.keys(UiCommand::ToggleInvert), [shortcut("B")]);
    assert_eq!(after.command(shortcut("I")), None);
    assign(&mut chosen, UiCommand::Undo, None, "Ctrl+Shift+Z").unwrap();
    assert_eq!(keymap(&chosen).first(UiCommand::Undo), "U", "a second key takes the first away");
    before.remove(&mut chosen, UiCommand::Undo, shortcut("Ctrl+Z"));
    assert_eq!(keymap(&chosen).keys(UiCommand::Undo), [shortcut("U")]);
}

#[test]
fn settings_that_contradict_themselves_are_said_and_the_first_holds() {
    let keys = [
        ("invert", vec!["X".to_owned(), "Hyper+Q".to_owned()]),
        ("fit", vec!["X".to_owned()]),
        ("teleport", vec!["B".to_owned()]),
    ];
    let keys = keys.map(|(name, keys)| (name.to_owned(), keys)).into();
    let chosen = Settings { keys, ..Settings::default() };
    let (made, notices) = Keymap::new(&chosen, &Class::defaults());
    assert_eq!(made.command(shortcut("X")), Some(UiCommand::ToggleInvert));
    assert_eq!(made.command(shortcut("B")), None);
    assert_eq!(notices, ["no key is named \"Hyper+Q\"", "X is set for Invert and for Fit film"]);
}
